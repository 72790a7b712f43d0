"""Bounds of backups, exports and imports, each with its reason: a chapter of `core.limits`."""

from __future__ import annotations

from node.core.limits import KEY_BYTES_MAX, ROW_BYTES_MAX

BACKUP_STEP_PAGES = 256
"""Pages copied at a time, half a mebibyte: between two steps the copy rests, looks at the disk, and may be ended."""

BACKUP_BYTES_S_MAX = 64 * 1024 * 1024
"""How fast a store is copied while it serves: half of what a plain SSD writes. Ten gigabytes take three minutes."""

BACKUP_SYNC_STEPS = 32
"""So often the copy is synced on its way: one fsync of all of it would keep the store's own commits waiting."""

BACKUP_WAIT_S = 2.0
"""How long DYN.BACKUP waits for the end of the copy before it tells how far it is (as DYN.REPAIR does)."""

BACKUP_PATH_BYTES_MAX = 4096
"""Longest path of a backup: PATH_MAX of Linux."""

RESTORE_ROWS = 64
RESTORE_BYTES = 8 * 1024 * 1024
"""Rows of a backup, or keys of an import, that are on their way to a node at a time; and their bytes, or one alone."""

BUSY_TRIES = 50
BUSY_S = 0.2
"""How often, and after which pause, an import says again what a node had no time for: ten seconds, then it ends."""

BACKUP_TOLD_S = 60.0
"""How long the end of a backup is kept for whoever asks for it again."""

EXPORT_LINE_BYTES_MAX = 2 * (ROW_BYTES_MAX + KEY_BYTES_MAX) + 1024 * 1024
"""Longest line of an export: JSON doubles a byte at most, as what has other control characters than ends of lines and
tabs is base64. A longer one is no line of ours, and must not fill the memory."""

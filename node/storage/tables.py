"""The statements that move rows, and nothing else: batches in, batches out, every row under its checksum.

Reading a batch is one statement, and writing it one call: fewer words between two threads that share an interpreter.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Mapping

import msgspec

from node.core.ids import scan_position
from node.core.limits import SCAN_PAGE_BYTES
from node.storage import identity
from node.storage.errors import BrokenStore
from node.storage.port import Page, SaveState, Totals
from node.storage.records import Record, digest_of

_ONE = "SELECT row, birth, checksum FROM rows WHERE position = ? AND key = ?"
_BATCH = "SELECT r.key, r.row, r.birth, r.checksum FROM json_each(?) j CROSS JOIN rows r ON r.position = j.value"
_PUT = (
    "INSERT INTO rows (position, key, row, birth, checksum) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET row = excluded.row, birth = excluded.birth, checksum = excluded.checksum"
)
_RANGE = "SELECT position, key, row, birth, checksum FROM rows WHERE position BETWEEN ? AND ? ORDER BY position, key"
_SET_ASIDE = (
    "INSERT OR REPLACE INTO quarantine (position, key, row, birth, found_at_ms) SELECT position, key,"
    " COALESCE(CAST(row AS BLOB), x''), CASE typeof(birth) WHEN 'integer' THEN birth END,"
    " CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) FROM rows WHERE position = ? AND key = ?"
)
_DROP = "DELETE FROM rows WHERE position = ? AND key = ?"
_ASIDE = "SELECT 1 FROM quarantine WHERE position = ? AND key = ?"
_BACK = "DELETE FROM quarantine WHERE position = ? AND key = ?"
_COUNTERS = "SELECT births, ring_epoch, rows, bytes, siblings, quarantined, changes, checksum FROM counters"
_COUNT = (
    "REPLACE INTO counters (one, births, ring_epoch, rows, bytes, siblings, quarantined, changes, checksum)"
    " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_json = msgspec.json.Encoder()

FLIP = 1 << 63
"""Between an unsigned position and SQLite's signed integer."""

_SIGNED_MAX = FLIP - 1
MIX = 0x9E3779B97F4A7C15
"""An odd number without pattern (the golden ratio's 64 bits): no two births are moved alike."""


Line = tuple[int, bytes, bytes, int | None, int]
"""Position, key, row, birth, checksum: one line of `rows`."""


def position_of(key: bytes) -> int:
    """Return where the key stands in the B-tree."""
    return int.from_bytes(scan_position(key), "big") - FLIP


def checksum_of(digest: int, birth: int | None) -> int:
    """Return what a line is verified against: 64 bits of its row's digest, and the birth on top of them.

    The digest of key and row is what the trees want, too: so one hash serves both. Each birth moves it elsewhere.
    """
    mixed = digest if birth is None else digest ^ (birth + 1) * MIX
    return (mixed & _SIGNED_MAX * 2 + 1) - FLIP


def read_one(connection: sqlite3.Connection, key: bytes) -> tuple[bytes | None, bool]:
    """Return the row of `key` (None: there is none), and whether it is what was written."""
    found = connection.execute(_ONE, (position_of(key), key)).fetchone()
    if found is None:
        return None, True
    row, birth, kept = found
    try:
        return row, checksum_of(digest_of(key, row), birth) == kept
    except TypeError:  # a damaged line may hold anything, whatever the columns are declared as
        return b"", False


def read_batch(
    connection: sqlite3.Connection, keys: Iterable[bytes]
) -> tuple[dict[bytes, Record], dict[bytes, Record]]:
    """Return the records of `keys`, and apart those that are not what was written. (Others of their positions, too.)"""
    return _read(connection, sorted({position_of(key) for key in keys}))


def _read(connection: sqlite3.Connection, positions: list[int]) -> tuple[dict[bytes, Record], dict[bytes, Record]]:
    intact: dict[bytes, Record] = {}
    damaged: dict[bytes, Record] = {}
    for key, row, birth, kept in connection.execute(_BATCH, (_json.encode(positions).decode(),)).fetchall():
        try:
            digest = digest_of(key, row)
            found = intact if checksum_of(digest, birth) == kept else damaged
            found[key] = Record(row, birth, digest=digest)
        except TypeError:
            if isinstance(key, bytes):
                damaged[key] = Record(b"", None)
    return intact, damaged


def write_batch(connection: sqlite3.Connection, records: Mapping[bytes, Record]) -> list[Line]:
    """Put records in the place of what their keys had; return the lines that were written."""
    lines: list[Line] = []
    for key, record in records.items():
        birth = record.birth
        lines.append((position_of(key), key, record.data, birth, checksum_of(record.digest(key), birth)))
    lines.sort()  # neighbours share pages
    connection.executemany(_PUT, lines)
    return lines


def read_range(connection: sqlite3.Connection, first: int, last: int) -> sqlite3.Cursor:
    """Return the lines at positions `first` to `last` (unsigned, both included), in order."""
    return connection.execute(_RANGE, (first - FLIP, last - FLIP))


def page_of(lines: Iterable[Line], limit: int, suspects: deque[bytes], *, lost: bool = False) -> Page:
    """Take lines until the page is full and a position ends; the keys of damaged ones go to `suspects`.

    With `lost`, rows that cannot be read come as b"".
    """
    items: list[tuple[bytes, bytes]] = []
    page_bytes = 0
    previous: int | None = None
    for seen, (position, key, row, birth, kept) in enumerate(lines):
        if previous is not None and position != previous and (seen >= limit or page_bytes >= SCAN_PAGE_BYTES):
            return Page(tuple(items), (previous + FLIP).to_bytes(8, "big"))
        if not is_line(position, key, row, birth):
            if isinstance(key, bytes):  # (if not, it is where nobody looks: a scrub drops it)
                suspects.append(key)
            continue
        if checksum_of(digest_of(key, row), birth) == kept:
            items.append((key, row))
        else:
            if row:
                suspects.append(key)
            if lost:
                items.append((key, b""))
        page_bytes += len(row)
        previous = position
    return Page(tuple(items), None)


def is_line(position: object, key: object, row: object, birth: object) -> bool:
    """Whether a line has the types that it should: a damaged one may hold anything."""
    if not (isinstance(position, int) and isinstance(key, bytes) and isinstance(row, bytes)):
        return False
    return birth is None or isinstance(birth, int)


def set_aside(connection: sqlite3.Connection, keys: Collection[bytes]) -> None:
    """Move damaged rows to quarantine."""
    connection.executemany(_SET_ASIDE, [(position_of(key), key) for key in keys])
    drop(connection, keys)


def drop(connection: sqlite3.Connection, keys: Collection[bytes]) -> None:
    """Remove rows."""
    connection.executemany(_DROP, [(position_of(key), key) for key in keys])


def drop_at(connection: sqlite3.Connection, places: Iterable[tuple[int, bytes]]) -> None:
    """Remove lines by position and key as they stand there: those of a damaged position, or key, are not found else."""
    connection.executemany(_DROP, places)


def is_aside(connection: sqlite3.Connection, key: bytes) -> bool:
    """Whether the key's row is in quarantine."""
    return connection.execute(_ASIDE, (position_of(key), key)).fetchone() is not None


def bring_back(connection: sqlite3.Connection, keys: Iterable[bytes]) -> int:
    """Forget the quarantined rows of keys that have a row again; return how many there were."""
    return connection.executemany(_BACK, [(position_of(key), key) for key in keys]).rowcount


def save_identity(connection: sqlite3.Connection, mine: identity.FileIdentity, states: Iterable[SaveState]) -> None:
    """Write the file's identity, and pieces of state with it, in a transaction of their own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        identity.save(connection, mine)
        for state in states:
            save_state(connection, state.name, state.data)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def load_counters(connection: sqlite3.Connection, path: str) -> tuple[int, int | None, Totals]:
    """Return the last birth, the ring's epoch and the totals. Raises BrokenStore if their checksum does not match."""
    found = connection.execute(_COUNTERS).fetchone()
    if found is None:
        return 0, None, Totals(0, 0, 0, 0, 0)
    if identity.checksum(*found[:-1]) != found[-1]:
        raise BrokenStore(f"{path} is damaged: its counters do not match their checksum", identity.REBUILD)
    return found[0], found[1], Totals(*found[2:7])


def save_counters(connection: sqlite3.Connection, births: int, ring_epoch: int | None, totals: Totals) -> None:
    """Write what every transaction moves on."""
    values = (births, ring_epoch, *totals)
    connection.execute(_COUNT, (*values, identity.checksum(*values)))


def load_state(connection: sqlite3.Connection, path: str) -> dict[str, bytes]:
    """Return the node's own state by name. Raises BrokenStore if a piece does not match its checksum."""
    state: dict[str, bytes] = {}
    for name, data, kept in connection.execute("SELECT name, data, checksum FROM state ORDER BY name"):
        if identity.checksum(name, data) != kept:
            raise BrokenStore(f"{path} is damaged: the state {name!r} does not match its checksum", identity.REBUILD)
        state[name] = data
    return state


def save_state(connection: sqlite3.Connection, name: str, data: bytes) -> None:
    """Keep a piece of the node's own state."""
    values = (name, data, identity.checksum(name, data))
    connection.execute("REPLACE INTO state (name, data, checksum) VALUES (?, ?, ?)", values)


def seems_in_conflict(record: Record) -> bool:
    """Whether a damaged record has several live values, as far as can be told."""
    try:
        return len(record.row.live) > 1
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False

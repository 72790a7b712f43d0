"""Why a store cannot be opened: each a sentence that is true as it stands, and what to do about it."""

from __future__ import annotations


class StorageError(Exception):
    """The store cannot be opened. `message` says why, `hint` (may be empty) what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnwritableDirectory(StorageError):
    """The data directory cannot be made, or not be written."""


class StoreInUse(StorageError):
    """Another process has the data directory."""


class BrokenStore(StorageError):
    """The file is damaged, or is none of ours."""


class NewerStore(StorageError):
    """A later version of dyn wrote the file."""


class ForeignStore(StorageError):
    """The file belongs to another node."""

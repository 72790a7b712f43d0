"""The node's store as the rest of the runtime sees it: the data directory with its owner, the file, the disk thread.

A data directory belongs to one node of one cluster, and says so: the name and the cluster are kept in the store, and a
start that means another node is refused, in a sentence that says which side is wrong.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from secrets import token_bytes
from typing import Final, NoReturn

import msgspec

from node.core.ids import NodeId
from node.engine.cluster import ring_of
from node.engine.kept import TOOK_SEAT, forgetful
from node.runtime.backups import Backups
from node.runtime.config import NodeSettings, StartError
from node.runtime.disk import DiskThread
from node.runtime.faulty_disk import DiskSwitch
from node.storage.errors import StorageError
from node.storage.port import HintTotals, Identity, Outcome, Refused, SaveState, StorageStopped, Totals, Write
from node.storage.sqlite import SqliteStorage

OWNER: Final = "owner"
"""The state in which the store keeps whose it is."""


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Whose data directory this is."""

    name: str
    cluster: str


class Store:
    """An open store. `start` and `stop` its thread; `close` releases the file. `switch`: its disk may be broken."""

    def __init__(self, storage: SqliteStorage, owner: Owner, switch: DiskSwitch | None = None) -> None:
        self.identity: Identity = storage.identity
        self.name = owner.name
        self.state = storage.load_state()
        self.redrawn = storage.redrawn
        self.switch = switch
        self.fetch_many = storage.fetch_many
        self.scan = storage.scan
        self.owed = storage.owed
        self.tombstones = storage.tombstones
        self.tombstone_count: Callable[[], int] = storage.tombstone_count
        self.hint_totals: Callable[[], tuple[HintTotals, ...]] = storage.hint_totals
        self.digests = storage.digests
        self.totals: Callable[[], Totals] = storage.totals
        self._storage = storage
        self._disk: DiskThread | None = None
        self.backups: Backups | None = None

    @classmethod
    def open(cls, settings: NodeSettings) -> Store:
        """Open, or create, what the settings name. StartError if it cannot be used, or is somebody else's."""
        switch = DiskSwitch() if settings.allow_faults else None
        connection = switch.connection if switch is not None else sqlite3.Connection
        try:
            storage = SqliteStorage.open(
                settings.data_dir, node_id=settings.seat, durability=settings.durability, entropy=token_bytes,
                connection=connection,
                born_with=forgetful(TOOK_SEAT) if settings.seat is not None else (),
            )  # fmt: skip
        except StorageError as error:
            raise StartError(error.message, error.hint) from None
        try:
            return cls(storage, claim(storage, settings), switch)
        except BaseException:
            storage.close()
            raise

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        persisted: Callable[[list[tuple[int, Outcome]]], None],
        stopped: Callable[[str], None],
    ) -> None:
        """Start the thread that writes; outcomes, and why it stopped if it must, come back on the loop's thread."""
        self._disk = DiskThread(self._storage, loop, persisted, stopped)
        self.backups = Backups(self._storage.path, loop)
        self.submit: Callable[[Sequence[tuple[int, Write]]], None] = self._disk.submit
        self._disk.start()

    def distrust(self, why: str) -> None:
        """The disk failed: from here on nothing that it says counts as an answer."""

        def fetch_many(keys: Sequence[bytes]) -> NoReturn:
            raise StorageStopped(why)

        def scan(partition: int, partitions: int, after: bytes, limit: int) -> NoReturn:
            raise StorageStopped(why)

        def owed(target: NodeId, after: bytes, limit: int) -> NoReturn:
            raise StorageStopped(why)

        def tombstones(after: bytes, limit: int) -> NoReturn:
            raise StorageStopped(why)

        def hint_totals() -> tuple[HintTotals, ...]:
            return ()

        def digests(bits: int, prefix: int, deeper: int) -> bytes:
            return b""

        self.fetch_many, self.scan, self.owed, self.hint_totals = fetch_many, scan, owed, hint_totals
        self.tombstones = tombstones
        self.digests = digests

    @property
    def queued(self) -> int:
        """Writes that wait for the disk."""
        return self._disk.queued if self._disk is not None else 0

    def figures(self) -> dict[str, object]:
        """What the disk thread measured."""
        return self._disk.figures() if self._disk is not None else {}

    def disown(self) -> None:
        """Others know more of this store than itself: the next start is to take it for a copy."""
        with suppress(OSError):
            self._storage.disown()

    def stop(self) -> None:
        """Give up a backup under way, let the thread finish what is queued, and end. Blocks."""
        if self.backups is not None:
            self.backups.stop()
        if self._disk is not None:
            self._disk.stop()
            self._disk = None

    def close(self) -> None:
        """Release the file; the stop was clean."""
        self.stop()
        self._storage.close()


def claim(storage: SqliteStorage, settings: NodeSettings) -> Owner:
    """Whose store this is: ours from now on if it is new. StartError if it belongs to somebody else."""
    data = storage.load_state().get(OWNER)
    if data is None:
        owner = Owner(settings.name or f"n{settings.port}", settings.cluster)
        _keep(storage, settings, [SaveState(OWNER, msgspec.msgpack.encode(owner))])
        if storage.redrawn:  # a copy, but of what has never served anybody
            storage.own()
        return owner
    owner = msgspec.msgpack.decode(data, type=Owner)
    wanted = Owner(settings.name or owner.name, settings.cluster)
    if wanted != owner:
        raise StartError(
            f"the data directory {settings.data_dir} belongs to node {owner.name} of cluster {owner.cluster}, "
            f"and this start is for node {wanted.name} of cluster {wanted.cluster}",
            f"Start with --name {owner.name} --cluster {owner.cluster}, or with another --data-dir",
        )
    check_partitions(storage, settings)
    if storage.redrawn:  # it may have forgotten what it acknowledged
        _keep(storage, settings, forgetful(storage.redrawn))
        storage.own()
    return owner


def check_partitions(storage: SqliteStorage, settings: NodeSettings) -> None:
    """StartError if the store is of a cluster of another number of partitions than this start asks for."""
    if settings.partitions is None:
        return
    ring = ring_of(storage.load_state())
    if ring is not None and settings.partitions != ring.partitions:
        raise StartError(
            f"the data directory {settings.data_dir} is of a cluster of {ring.partitions} partitions, "
            f"and this start is for one of {settings.partitions}",
            "Start without --partitions; another number needs a new cluster, in another --data-dir",
        )


def _keep(storage: SqliteStorage, settings: NodeSettings, states: Sequence[SaveState]) -> None:
    if any(isinstance(outcome, Refused) for outcome in storage.apply(states)):
        raise StartError(f"the data directory {settings.data_dir} takes no data: the disk is full")

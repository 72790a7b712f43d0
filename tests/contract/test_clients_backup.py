"""DYN.BACKUP at the client port: who may ask, that the answer keeps its place, and what a run tells whoever asks."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.core.limits_backup import BACKUP_PATH_BYTES_MAX
from node.runtime import backups
from node.runtime.about import About
from node.runtime.auth import Password
from node.runtime.backups import Backups
from node.runtime.clients import ClientListener
from node.storage.backup import Source
from node.storage.sqlite import FILE
from node.wire.replies import ErrorReply, Value
from tests.helpers.fake_store import Client, FakeStore, pack, serving
from tests.helpers.peers import Run, until
from tests.helpers.stores import Scribe, SqliteHandle, peer_row

SOURCE = Source("n1", "ab" * 16, "dyn", "c1", 256, "127.0.0.1:7700", "0.1.0", 1_700_000_000_000)


def listener(password: str = "") -> tuple[ClientListener, FakeStore]:
    store = FakeStore()
    secret = Password(password.encode()) if password else None
    return ClientListener(store.submit, store.flush, store, password=secret), store


def test_the_answer_comes_in_its_place_and_holds_up_nobody_else(run: Run) -> None:
    async def main() -> None:
        made, store = listener()
        async with serving(made, store) as port:
            client, other = await port.connect(), await port.connect()
            await client.send(pack("PING") + pack("DYN.BACKUP", "/x/y.db") + pack("GET", "k"))
            await client.expect(b"+PONG\r\n")
            await until(lambda: store.backups)
            await other.send(pack("SET", "k", "v"))
            await other.expect(b"+OK\r\n")
            ((target, answer),) = store.backups
            assert target == Path("/x/y.db")
            answer(b"{}")
            await client.expect(b"$2\r\n{}\r\n$1\r\nv\r\n")

    run(main())


@pytest.mark.parametrize("ended", [False, True])
def test_who_hangs_up_meanwhile_does_no_harm(run: Run, *, ended: bool) -> None:
    async def main() -> None:
        made, store = listener()
        async with serving(made, store) as port:
            client = await port.connect()
            await client.send(pack("DYN.BACKUP", "/x/y.db"))
            await until(lambda: store.backups)
            await client.close()
            if ended:  # else that is noticed when it is read from again
                next(iter(made.sessions.values())).abort()
                await until(lambda: not made.sessions)
            store.backups[0][1](b"{}")
            await until(lambda: not made.sessions)
            other = await port.connect()
            await other.send(pack("PING"))
            await other.expect(b"+PONG\r\n")

    run(main())


@pytest.mark.parametrize("path", ["", "/x\0y", "/" + "x" * BACKUP_PATH_BYTES_MAX])
def test_what_is_no_path_is_refused(run: Run, path: str) -> None:
    async def main() -> None:
        made, store = listener()
        async with serving(made, store) as port:
            client = await port.connect()
            await client.send(pack("DYN.BACKUP", path))
            assert (await client.line()).startswith(b"-ERR a path has 1 to 4096 bytes")
        assert store.backups == []

    run(main())


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_client_from_elsewhere_is_denied(run: Run, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """It would write files on a machine that is not its own. 127.0.0.2 stands in for another one."""
    monkeypatch.setattr("node.runtime.housekeeping.is_loopback", lambda host: host == "127.0.0.1")

    async def main() -> None:
        made, store = listener(password)
        number = await made.start("127.0.0.1", 0)
        client = Client(*await asyncio.open_connection("127.0.0.1", number, local_addr=("127.0.0.2", 0)))
        if password:
            await client.send(pack("AUTH", password))
            await client.expect(b"+OK\r\n")
        await client.send(pack("DYN.BACKUP", "/x/y.db"))
        assert (await client.line()).startswith(b"-DENIED DYN.BACKUP writes a file on this machine")
        await client.close()
        assert store.backups == []
        await made.stop()

    run(main())


# Runs ---------------------------------------------------------------------------------------------------------


class Asking:
    """Somebody who asks for backups, and keeps what is answered."""

    def __init__(self, made: Backups) -> None:
        self.made = made
        self.answers: list[Any] = []

    def ask(self, target: Path) -> None:
        self.made.ask(target, SOURCE, self._answered)

    def _answered(self, reply: Value) -> None:
        self.answers.append(json.loads(reply) if isinstance(reply, bytes) else reply)

    async def hear(self, count: int = 1) -> Any:
        """The last of so many answers."""
        await until(lambda: len(self.answers) >= count)
        assert len(self.answers) == count
        return self.answers[-1]


class Gate:
    """Holds a backup up at its first step, on its own thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        write = backups.write_backup

        def held(*arguments: Any) -> Any:
            store, target, source, entropy, step, checking = arguments

            def gated(done: int, total: int) -> None:
                self.reached.set()
                while not self.open.wait(0.01):
                    step(done, total)
                step(done, total)

            return write(store, target, source, entropy, gated, checking)

        monkeypatch.setattr(backups, "write_backup", held)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    handle = SqliteHandle(tmp_path / "data")
    Scribe(handle).merge(b"k", peer_row(b"v"))
    yield handle.directory / FILE
    handle.close()


def test_a_short_one_is_answered_with_its_end(run: Run, store: Path, tmp_path: Path) -> None:
    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop()))
        asking.ask(tmp_path / "a.db")
        document = await asking.hear()
        assert (document["schema"], document["running"], document["keys"]) == ("dyn.backup/v1", False, 1)
        assert document["file_bytes"] == (tmp_path / "a.db").stat().st_size
        asking.ask(tmp_path / "a.db")
        assert "exists" in (await asking.hear(2)).text
        asking.made.stop()

    run(main())


def test_a_long_one_tells_how_far_it_is_and_its_end_once(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)

    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop(), wait_s=0.05))
        asking.ask(tmp_path / "a.db")
        assert (await asking.hear())["running"]
        asking.ask(tmp_path / "b.db")
        reply = await asking.hear(2)
        assert isinstance(reply, ErrorReply)
        assert (reply.code, "one at a time" in reply.text) == ("BUSY", True)
        asking.ask(tmp_path / "a.db")
        document = await asking.hear(3)
        assert (document["running"], document["done"], document["total"]) == (
            True,
            document["total"],
            document["total"],
        )
        gate.open.set()
        await until((tmp_path / "a.db").exists)
        await until(lambda: asking.made._run is None)
        asking.ask(tmp_path / "a.db")
        assert (await asking.hear(4))["running"] is False
        asking.ask(tmp_path / "a.db")
        assert "exists" in (await asking.hear(5)).text
        asking.made.stop()

    run(main())


def test_a_node_that_stops_gives_it_up(run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)

    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop()))
        asking.ask(tmp_path / "a.db")
        await until(gate.reached.is_set)
        await asyncio.get_running_loop().run_in_executor(None, asking.made.stop)
        assert "given up" in (await asking.hear()).text

    run(main())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_how_one_ended_is_not_kept_for_ever(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    monkeypatch.setattr(backups, "BACKUP_TOLD_S", 0.01)

    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop(), wait_s=0.01))
        asking.ask(tmp_path / "a.db")
        await asking.hear()
        gate.open.set()
        await until(lambda: asking.made._run is None and asking.made._untold is None)
        asking.ask(tmp_path / "a.db")
        assert "exists" in (await asking.hear(2)).text
        asking.made.stop()

    run(main())


def test_the_pace_is_bounded(run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps at five a second take at least two fifths of one."""
    write = backups.write_backup

    def thrice(*arguments: Any) -> Any:
        for done in range(3):
            arguments[4](done, 3)
        return write(*arguments)

    monkeypatch.setattr(backups, "write_backup", thrice)
    monkeypatch.setattr(backups, "STEP_S", 0.2)

    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop()))
        asking.ask(tmp_path / "a.db")
        assert (await asking.hear())["took_s"] >= 0.4
        asking.made.stop()

    run(main())


def test_a_defect_is_told_and_the_next_one_is_made(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = backups.write_backup

    def broken(*arguments: Any) -> Any:
        monkeypatch.setattr(backups, "write_backup", write)
        raise AssertionError("a defect")

    monkeypatch.setattr(backups, "write_backup", broken)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)

    async def main() -> None:
        asking = Asking(Backups(store, asyncio.get_running_loop()))
        asking.ask(tmp_path / "a.db")
        assert "a defect ended the backup" in (await asking.hear()).text
        asking.ask(tmp_path / "a.db")
        assert (await asking.hear(2))["keys"] == 1
        asking.made.stop()

    run(main())


@pytest.mark.parametrize(
    ("seated", "rebuilding", "behind", "words"),
    [(False, False, False, "has no seat"), (True, True, False, "lacks rows"), (True, False, True, "lacks rows")],
)
def test_a_store_that_may_lack_something_gives_no_backup(
    *, seated: bool, rebuilding: bool, behind: bool, words: str
) -> None:
    cluster = SimpleNamespace(seated=seated, rebuilding=rebuilding, behind=behind)
    server: Any = SimpleNamespace(
        node=SimpleNamespace(cluster=cluster),
        config=SimpleNamespace(name="n1"),
        store=SimpleNamespace(backups=object()),
    )
    answers: list[Any] = []
    About(server).back_up(Path("/x/y.db"), answers.append)
    (answer,) = answers
    assert words in answer.text

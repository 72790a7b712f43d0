"""A cluster of real node processes, each with its own home, on free ports of loopback.

    with Cluster(3, tmp_path) as cluster:
        cluster.send(0, "SET", "k", "v")
        cluster[1].kill()
        cluster[1].start().ready()

The nodes find each other by `--join`, not by multicast: tests of one machine must not meet. A test that fails finds
every node's output in `Node.log`, and in the error of whatever was waited for.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import hiredis

from tests.helpers.patience import Patience

ROOT = Path(__file__).parents[2]
READY_S = 30.0
STOP_S = 30.0
PORTS = range(25000, 25100)
"""Client ports; a node's peer and HTTP ports are the usual 100 and 200 above."""


def eventually(condition: Callable[[], object], what: str = "", *, seconds: float = 30.0) -> Any:
    """Poll `condition` until it is true, and return what it returned; fail with `what` if it takes too long."""
    patience = Patience(seconds)
    while True:
        found = condition()
        if found:
            return found
        assert patience.is_left(), f"waited {seconds} s for {what or condition}"
        time.sleep(0.01)


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of loopback; one that lately was used will do."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int, ports: Sequence[int] = PORTS) -> list[int]:
    """Return `count` client ports that are free with their peer and HTTP ports, different ones for each process."""
    start = os.getpid() * 7 % len(ports)
    found: list[int] = []
    for offset in range(len(ports)):
        port = ports[(start + offset) % len(ports)]
        if all(is_free(port + more) for more in (0, 100, 200)):
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"no {count} free ports in {ports}")


def dying_with_us() -> tuple[str, ...]:
    """The command under which a process gets SIGKILL when this thread ends, however it ends; nothing where it is not.

    A test run that is killed must not leave nodes behind. A thread that starts nodes has to outlive them.
    """
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "KILL")


class ReplyError(Exception):
    """A node answered with an error: its text, with the prefix."""


class Connection:
    """A blocking RESP2 connection to one node."""

    def __init__(self, port: int, *, timeout_s: float = 10.0, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._reader = hiredis.Reader()

    def __call__(self, *words: bytes | str | int) -> Any:
        """Send one command, return its reply; ReplyError for an error."""
        self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # of any length
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the node hung up")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise ReplyError(str(reply))
        return reply

    def timeout(self, seconds: float) -> None:
        """Wait so long for each answer from now on."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Node:
    """One `dyn node start`. `start` may be called again after `stop` or `kill`: the data is where it was.

    `under` is a command that runs the command after it, such as `setpriv …`; `tree` is where `node` is imported from:
    this checkout, or what a wheel of it holds (`tests.helpers.wheel`). `module` is what is run: set it to another one
    before a start, and the node comes back as another release (`tests.helpers.next_release`).
    """

    module = "dynamo_cli"

    def __init__(
        self,
        folder: Path,
        port: int,
        *flags: str,
        name: str | None = None,
        environ: dict[str, str] | None = None,
        under: Sequence[str] = (),
        tree: Path = ROOT,
    ) -> None:
        self.folder = folder
        self.port = port
        self.peer_port = port + 100
        self.http_port = port + 200
        self.name = f"n{port}" if name is None else name
        self.flags = flags
        self.environ = environ or {}
        self.under = under
        self.tree = tree
        self.process: subprocess.Popen[bytes] | None = None
        self._out = folder / "stdout"
        self._err = folder / "stderr"
        folder.mkdir(parents=True, exist_ok=True)

    # The process -----------------------------------------------------------------------------------------

    def start(self, *more: str) -> Node:
        """Start the process; `ready` waits for it."""
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs already"
        command = [
            *dying_with_us(),
            *self.under,
            sys.executable,
            "-m",
            self.module,
            "node",
            "start",
            "--port",
            str(self.port),
        ]
        if self.name:
            command += ["--name", self.name]
        out: IO[bytes]
        err: IO[bytes]
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [*command, *self.flags, *more], cwd=self.folder, env=self.env(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, start_new_session=True,
            )  # fmt: skip
        return self

    def env(self) -> dict[str, str]:
        """A home of its own, and nothing of ours that would steer it."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("DYN_", "XDG_"))}
        environ.pop("NOTIFY_SOCKET", None)
        environ |= {"HOME": str(self.folder), "PYTHONPATH": str(self.tree), "PYTHONUNBUFFERED": "1"}
        return environ | self.environ

    def ready(self, seconds: float = READY_S) -> Node:
        """Wait for the line that begins with `ready`."""
        try:
            eventually(lambda: self.ready_line or self.ended, f"{self.name} to be ready", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None
        assert self.ready_line, f"{self.name} ended with {self.code}:\n{self.log}"
        return self

    @property
    def ready_line(self) -> str:
        """The ready line, "" before."""
        lines = self._out.read_text().splitlines(keepends=True) if self._out.exists() else []
        return next((line.rstrip("\n") for line in lines if line.startswith("ready") and line.endswith("\n")), "")

    @property
    def log(self) -> str:
        """Everything it said on stderr, over all its starts."""
        return self._err.read_text() if self._err.exists() else ""

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether the process ended."""
        return self.process is None or self.process.poll() is not None

    @property
    def code(self) -> int | None:
        """The exit code; negative for a signal, None while it runs."""
        return None if self.process is None else self.process.poll()

    def wait(self, seconds: float = STOP_S) -> int:
        """Wait for the process to end; return its exit code."""
        assert self.process is not None, f"{self.name} was never started"
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds} s:\n{self.log}") from None

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None, f"{self.name} was never started"
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop it cleanly; return its exit code."""
        if not self.ended:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if not self.ended:
            self.signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """Stop its time (SIGSTOP): it holds its sockets and says nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    # Its ports -------------------------------------------------------------------------------------------

    def connect(self, timeout_s: float = 10.0) -> Connection:
        """A new client connection."""
        return Connection(self.port, timeout_s=timeout_s)

    def send(self, *words: bytes | str | int) -> Any:
        """One command over a connection of its own."""
        with self.connect() as connection:
            return connection(*words)

    def document(self, what: str, *words: bytes | str | int) -> Any:
        """DYN.`what` as Python values."""
        import json

        return json.loads(self.send(f"DYN.{what}", *words))

    def http(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        """Status and body of an HTTP request."""
        with socket.create_connection(("127.0.0.1", self.http_port), 10) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    @property
    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Cluster:
    """`count` nodes n1, n2 … of one cluster. They start unless `start=False`; all end with the `with` block."""

    def __init__(
        self,
        count: int,
        folder: Path,
        *flags: str,
        start: bool = True,
        ports: Sequence[int] = PORTS,
        environ: dict[str, str] | None = None,
        tree: Path = ROOT,
    ) -> None:
        key = folder / "cluster.key"
        folder.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text("the cluster key of a test cluster\n")
        found = free_ports(count, ports)
        self.nodes: list[Node] = []
        for number, port in enumerate(found, 1):
            seed = () if number == 1 else ("--join", f"127.0.0.1:{found[0] + 100}")
            common = ("--discover", "none", "--key-file", str(key), *seed, *flags)
            self.nodes.append(Node(folder / f"n{number}", port, *common, name=f"n{number}", environ=environ, tree=tree))
        self._start = start

    def __enter__(self) -> Cluster:
        if self._start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def start(self) -> Cluster:
        """Start all nodes and wait until each has its seat and sees the others up."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.ready()
        self.settle()
        return self

    def settle(self, seconds: float = READY_S) -> None:
        """Wait until all running nodes have one view, in which all of them are up."""
        running = [node for node in self.nodes if not node.ended]

        def agreed() -> bool:
            rings = [node.document("RING") for node in running]
            statuses = [{n["name"]: n["state"] for n in node.document("STATUS")["nodes"]} for node in running]
            return all(
                ring["epoch"] == rings[0]["epoch"] and all(status.get(node.name) == "up" for node in running)
                for ring, status in zip(rings, statuses, strict=True)
            )

        try:
            eventually(agreed, f"{len(running)} nodes to agree", seconds=seconds)
        except (AssertionError, OSError, ReplyError) as error:
            raise AssertionError(f"{error}\n{self.log}") from error

    def send(self, index: int, *words: bytes | str | int) -> Any:
        """One command to one node."""
        return self.nodes[index].send(*words)

    @property
    def log(self) -> str:
        """What all nodes said, one after the other."""
        return "\n".join(f"--- {node.name} (exit {node.code})\n{node.log}" for node in self.nodes)

    def close(self) -> None:
        """End every process, however it is."""
        for node in self.nodes:
            if not node.ended:
                node.signal(signal.SIGCONT)
                node.signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process is None:
                continue
            try:
                node.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()

"""The demo's nodes: real `dyn node start` processes on fixed ports, started together, and never left behind.

Node i listens for clients on base + i, for nodes on base + 100 + i, for HTTP on base + 200 + i. A port that is taken is
an error, never another port: what the documents say about the demo is then true of every demo.
"""

from __future__ import annotations

import os
import secrets
import signal
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dynamo_cli.client import Address, Client
from dynamo_cli.demo.seen import ASK_S, CLUSTER, HOST, NODES_MAX, Node, Place, late
from dynamo_cli.errors import CliError, no_node, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.store import document

READY_S = 60.0
"""How long all nodes together may take: five Python processes on a busy machine with two cores."""
STOP_S = 5.0
POLL_S = 0.02
LOG_LINES = 5
"""As many last lines of its log a node shows that did not start."""
KEY_FILE = "cluster.key"
RECORD = "nodes.json"
"""The file of a kept demo with the numbers of its nodes, by name. A folder without it is no demo's."""


def places(count: int, base_port: int) -> tuple[Place, ...]:
    """Names and ports of so many nodes; raises a usage error."""
    return places_of({f"n{number}": number for number in range(1, count + 1)}, base_port)


def places_of(numbers: Mapping[str, int], base_port: int) -> tuple[Place, ...]:
    """Names and ports of nodes by their numbers; raises a usage error."""
    count, last = len(numbers), base_port + 200 + max(numbers.values())
    if count > NODES_MAX:
        raise usage(f"{count} nodes are too many for a demo: at most {NODES_MAX}", "See: dyn help demo")
    if last > 65535:
        raise usage(f"base port {base_port} leaves no room for ports up to {last}", "Choose a lower one")
    return tuple(
        Place(name, base_port + number, base_port + 100 + number, base_port + 200 + number)
        for name, number in sorted(numbers.items(), key=lambda item: item[1])
    )


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of our processes: no setting of the user's reaches them, and they find the code that we run."""
    made = {name: value for name, value in environ.items() if not name.startswith("DYN_") and name != "NOTIFY_SOCKET"}
    root = str(Path(__file__).resolve().parents[2])
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()}
    if root not in installed:
        made["PYTHONPATH"] = os.pathsep.join(filter(None, (root, made.get("PYTHONPATH"))))
    return made


def program(*words: str) -> list[str]:
    """The command line of one of our modules: this interpreter, and nothing from the current directory (-P)."""
    return [sys.executable, "-P", "-m", *words]


class NodeFailed(CliError):
    """A node is not there that should be. `lines` are the last ones of its log, to be shown above the error."""

    def __init__(self, node: DemoNode, what: str) -> None:
        super().__init__(ExitStatus.FAILURE, f"node {node.name} {what}", f"Its log: {node.log}", code="NODE")
        self.lines = [f"  {node.name} | {line}" for line in node.last_lines]


class DemoNode:
    """One node process. `start` may be called again after it ended: its data is where it was."""

    def __init__(
        self, place: Place, folder: Path, seeds: Sequence[str], environ: Mapping[str, str], group: int, nrw: str = ""
    ) -> None:
        self.place = place
        self.log = folder / f"{place.name}.log"
        self.data = folder / place.name
        self._command = program(
            "dynamo_cli", "node", "start", "--name", place.name, "--cluster", CLUSTER, "--port", str(place.port),
            "--peer-port", str(place.peer_port), "--http-port", str(place.http_port), "--data-dir", str(self.data),
            "--key-file", str(folder / KEY_FILE), "--discover", "none", "--allow-faults",
        )  # fmt: skip
        for seed in seeds:
            self._command += ["--join", seed]
        self._command += ["--nrw", nrw] if nrw else []
        self._environ = environ
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0
        self.paused = False
        self.ends_as_told = True
        """Whether its process ended, or will end, because we wanted it to."""
        self.starts = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.place.name

    @property
    def pid(self) -> int | None:
        """Its process, None while it does not run."""
        return None if self._process is None or self.ended else self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    @property
    def crashed(self) -> bool:
        """Whether it ended by itself."""
        return self.ended and not self.ends_as_told

    @property
    def how(self) -> str:
        """How it ended, in words."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "runs" if self._process is not None else "was not started"
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def start(self) -> None:
        """Start the process; `ready_line` says when it may be used."""
        assert self.ended, f"{self.name} runs already"
        log: IO[bytes]
        self.paused = self.ends_as_told = False
        self.starts += 1
        with self.log.open("ab") as log:
            self._begun = log.tell()
            self._process = subprocess.Popen(
                self._command, cwd=self.log.parent, env=dict(self._environ), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, process_group=self._group,
            )  # fmt: skip

    def said(self) -> list[str]:
        """The complete lines of its log since its last start."""
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(self._begun)
            return log.read().decode(errors="replace").split("\n")[:-1]
        return []

    @property
    def ready_line(self) -> str:
        """The line that says it is ready, "" before."""
        return next((line for line in self.said() if line.startswith("ready")), "")

    @property
    def last_lines(self) -> list[str]:
        """The end of its log since its last start."""
        return [line for line in self.said() if line.strip()][-LOG_LINES:]

    def terminate(self) -> None:
        """Ask it to stop."""
        if not self.ended:
            assert self._process is not None
            self.ends_as_told = True
            self._process.terminate()
            self.resume()

    def pause(self) -> None:
        """Stop its process where it is, as a debugger does: it neither answers nor closes anything."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        if self.paused and self._process is not None:
            self._process.send_signal(signal.SIGCONT)
        self.paused = False

    def wait(self, patience_s: float = STOP_S) -> None:
        """Wait for its end; kill it when it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> int:
        """End it at once, as a power cut would (kill -9); return the process that it was."""
        assert self._process is not None, f"{self.name} was never started"
        self.ends_as_told, self.paused = True, False
        self._process.kill()
        self._process.wait()
        return self._process.pid


class DemoCluster:
    """All nodes of one demo, in `folder`. Whatever ends this process, they end too, and a temporary folder goes.

    `nrw` counts when they found a cluster, "" is a node's own default. `latency_ms` is that of every link.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Sequence[Place],
        environ: Mapping[str, str],
        *,
        temporary: bool = True,
        base_port: int | None = None,
        entry: Path | None = None,
        nrw: str = "",
        latency_ms: float = 0.0,
    ) -> None:
        self.folder = folder
        self.temporary = temporary
        self.base_port = wanted[0].port - 1 if base_port is None else base_port
        self.latency_ms = latency_ms
        self._nrw = nrw
        self._environ = child_environ(environ)
        make_key(folder / KEY_FILE)
        left = [folder, *([entry] if entry is not None else [])] if temporary else []
        self._keeper = subprocess.Popen(
            program("dynamo_cli.demo.keeper", *map(str, left)), cwd=folder, env=self._environ,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
        first = next((place for place in wanted if (folder / place.name).exists()), wanted[0])  # a new one founds none
        self.nodes = [self.made(place, () if place is first else (first,)) for place in wanted]

    def __iter__(self) -> Iterator[DemoNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def made(self, place: Place, seeds: Sequence[Place]) -> DemoNode:
        """A node that is not started yet, and joins by these others; without any it founds."""
        joins = [f"{HOST}:{seed.peer_port}" for seed in seeds]
        return DemoNode(place, self.folder, joins, self._environ, self._keeper.pid, self._nrw)

    def find(self, name: str) -> DemoNode:
        """The node of this name; raises NOT_FOUND."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise no_node(name, [node.name for node in self.nodes])

    @property
    def addresses(self) -> tuple[str, ...]:
        """Client addresses of all nodes."""
        return tuple(node.place.address for node in self.nodes)

    def start(self, tell: Callable[[int, int], None]) -> float:
        """Start all nodes and wait until they are one cluster; returns the seconds it took.

        `tell` hears how many of how many are ready.
        """
        began = time.monotonic()
        for node in self.nodes:
            node.start()
        for waiting in self._until_ready(began + READY_S, self.nodes):
            tell(len(self) - len(waiting), len(self))
        self.settle(began + READY_S)
        return time.monotonic() - began

    def restart(self, node: DemoNode) -> float:
        """Start one node again, after a clean stop if it runs; returns the seconds until it was ready."""
        node.terminate()
        node.wait()
        began = time.monotonic()
        node.start()
        for _ in self._until_ready(began + READY_S, [node]):
            pass
        late(self, told=[node.name])
        return time.monotonic() - began

    def _until_ready(self, deadline: float, nodes: Sequence[DemoNode]) -> Iterator[list[DemoNode]]:
        """Yield the nodes that are not ready, each time they became fewer, until there are none."""
        waiting = list(nodes)
        while waiting:
            ended = next((node for node in nodes if node.ended), None)
            if ended is not None:
                raise NodeFailed(ended, ended.how)
            left = [node for node in waiting if not node.ready_line]
            if len(left) < len(waiting):
                waiting = left
                yield waiting
            elif time.monotonic() > deadline:
                raise NodeFailed(left[0], f"is not ready after {READY_S:g} s")
            else:
                time.sleep(POLL_S)

    def settle(self, deadline: float) -> None:
        """Wait until every node sees every other up, in one epoch: the first write then finds the whole ring."""
        while True:
            views = {self.view(node) for node in self.nodes if not node.ended}
            if len(views) == 1 and None not in views:
                return
            if time.monotonic() > deadline:
                raise CliError(ExitStatus.FAILURE, "the nodes do not agree on who is there", f"Logs: {self.folder}")
            time.sleep(POLL_S)

    def view(self, node: DemoNode) -> tuple[int, tuple[str, ...]] | None:
        """The ring epoch and the owners that a node knows, if it sees all nodes up; else None."""
        with suppress(CliError), asking(node) as client:
            ring, status = document(client, "RING"), document(client, "STATUS")
            up = {found["name"] for found in status["nodes"] if found["state"] == "up"}
            if up >= {other.name for other in self.nodes if not other.ended}:
                return ring["epoch"], tuple(ring["owners"])
        return None

    def look(self) -> None:
        """Nothing: what we own we need not be told of."""

    def close(self) -> None:
        """Stop everything and remove a temporary folder. A further Ctrl-C does not interrupt this."""
        with ignoring(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for node in self.nodes:
                node.terminate()
            for node in self.nodes:
                node.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)  # the keeper, and whatever was being started just now
            self._keeper.wait()
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            if self.temporary:
                import shutil

                shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def asking(node: Node, timeout_s: float = ASK_S) -> Iterator[Client]:
    """A client of one node."""
    client = Client([Address(HOST, node.place.port)], timeout_s=timeout_s, writer="demo")
    try:
        yield client
    finally:
        client.close()


@contextmanager
def ignoring(*numbers: signal.Signals) -> Iterator[None]:
    """Let signals pass unheard for a while."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_key(path: Path) -> None:
    """Make a cluster key that only its owner can read, unless it is there."""
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")

"""A network of its own for real processes: each host a network namespace, all on one bridge, none anywhere else.

    with Network(5) as network:                  10.77.0.1 … 10.77.0.5, and this thread at 10.77.0.254
        node = HostedNode(network, 1, folder, …)
        network.drop(1, 2)                       what n1 sends no longer reaches n2
        network.heal()

The bridge lies in a namespace too, which the calling thread enters (threads it starts are there as well), so packets
go to these addresses and to loopback only. Whatever ends the process, its nodes end with it, and the next one removes
the namespaces that it left: their names tell whose they were. Needs root, iproute2 and iptables; `why_not` says in a
sentence what is missing.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.helpers.cluster import Connection, Node

SUBNET = "10.77.0"
OURS = 254
"""The last number of this thread's address, on the bridge."""
PORT = 7700
CLONE_NEWNET = 0x40000000
NAMES = re.compile(r"^dyn(\d+)-\w+", re.MULTILINE)


def why_not() -> str:
    """Why there can be no such network here, in one sentence; "" if there can."""
    for tool, package in (("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(tool) is None:
            return f"needs {tool} (apt-get install {package})"
    if os.geteuid() != 0:
        return "network namespaces need root, and this is another user"
    probe = f"dyn{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"this machine gives no network namespaces, not even to root: {done.stderr.strip()}"
    try:
        rule = ["iptables", "-w", "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0.5"]
        done = subprocess.run(
            ["ip", "netns", "exec", probe, *rule, "-j", "DROP"], capture_output=True, text=True, check=False
        )
    finally:
        run("ip", "netns", "del", probe)
    return f"iptables does not work in a network namespace here: {done.stderr.strip()}" if done.returncode else ""


def run(*words: str) -> str:
    """Run a command that must succeed; its output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


def sweep() -> None:
    """Remove the namespaces of processes that are no more."""
    for found in NAMES.finditer(run("ip", "netns", "list")):
        if not Path("/proc", found[1]).exists():
            run("ip", "netns", "del", found[0])


def enter(path: str) -> None:
    """Put this thread into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(descriptor)


class Network:
    """`hosts` hosts, numbered from 1. Within `with` this thread, and all that it starts, are on their bridge."""

    def __init__(self, hosts: int) -> None:
        self.hosts = range(1, hosts + 1)
        self._made: list[str] = []

    def __enter__(self) -> Network:
        sweep()
        self._here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            bridge = self._add("bridge")
            run("ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", bridge, "address", "add", f"{self.address(OURS)}/24", "dev", "br0")
            for device in ("lo", "br0"):
                run("ip", "-n", bridge, "link", "set", device, "up")
            for host in self.hosts:
                self._plug(host, self._add(f"n{host}"), bridge)
            enter(f"/run/netns/{bridge}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Go back where we came from, and remove everything."""
        enter(f"/proc/self/fd/{self._here}")
        os.close(self._here)
        while self._made:
            run("ip", "netns", "del", self._made.pop())

    def _add(self, name: str) -> str:
        full = self._name(name)
        run("ip", "netns", "add", full)
        self._made.append(full)
        return full

    def _name(self, name: str) -> str:
        return f"dyn{os.getpid()}-{name}"

    def _plug(self, host: int, namespace: str, bridge: str) -> None:
        """A cable from a host to the bridge."""
        run(
            "ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", f"n{host}", "netns", bridge
        )
        run("ip", "-n", bridge, "link", "set", f"n{host}", "master", "br0", "up")
        run("ip", "-n", namespace, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", namespace, "link", "set", device, "up")

    # What hosts are ------------------------------------------------------------------------------------------

    def address(self, host: int) -> str:
        """The IP address of a host."""
        return f"{SUBNET}.{host}"

    def under(self, host: int) -> tuple[str, ...]:
        """The command that runs the command after it on a host. It is the same process then."""
        return ("ip", "netns", "exec", self._name(f"n{host}"))

    # What befalls them ---------------------------------------------------------------------------------------

    def drop(self, source: int, target: int) -> None:
        """Let no packet from one host arrive at another: no answer, no error, as if a cable were cut."""
        self._rule(target, "-s", self.address(source))

    def lose(self, part: float) -> None:
        """Lose so many of all packets between hosts, 0 to 1, by lot; ours are not touched."""
        for host in self.hosts:
            for other in self.hosts:
                if other != host:
                    lot = ("-m", "statistic", "--mode", "random", "--probability", str(part))
                    self._rule(host, "-s", self.address(other), *lot)

    def no_multicast(self, host: int) -> None:
        """Let no multicast come to a host or leave it, as many a network of machines in a cloud does."""
        for chain in ("INPUT", "OUTPUT"):
            run(*self.under(host), "iptables", "-w", "-A", chain, "-d", "224.0.0.0/4", "-j", "DROP")

    def heal(self) -> None:
        """Lose nothing any more."""
        for host in self.hosts:
            run(*self.under(host), "iptables", "-w", "-F", "INPUT")

    def _rule(self, host: int, *match: str) -> None:
        run(*self.under(host), "iptables", "-w", "-A", "INPUT", *match, "-j", "DROP")


class HostedNode(Node):
    """One `dyn node start` on a host, with its own address, and the key and password that it then needs."""

    def __init__(
        self, network: Network, host: int, folder: Path, *flags: str, seeds: Sequence[int] = (), discover: str = "none"
    ) -> None:
        self.host = network.address(host)
        self.password = "the password of a test cluster"  # it guards nothing: the network has no other clients
        secrets = folder.parent
        for name, secret in (("cluster.key", "the cluster key of a test cluster"), ("password", self.password)):
            path = secrets / name
            path.touch(mode=0o600)
            path.write_text(secret + "\n")
        joins = [word for seed in seeds for word in ("--join", f"{network.address(seed)}:{PORT + 100}")]
        files = ("--key-file", str(secrets / "cluster.key"), "--password-file", str(secrets / "password"))
        super().__init__(
            folder, PORT, "--listen", self.host, "--discover", discover, *files, *joins, *flags,
            name=f"n{host}", under=network.under(host),
        )  # fmt: skip

    def connect(self, timeout_s: float = 10.0) -> Connection:
        """A new client connection, from the bridge."""
        connection = Connection(self.port, timeout_s=timeout_s, host=self.host)
        try:
            connection("AUTH", self.password)
        except BaseException:
            connection.close()
            raise
        return connection

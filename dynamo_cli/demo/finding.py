"""Which demo is meant: by its context, its ports, or a node of it. From there on it is found by its folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dynamo_cli.client import Client, parse_address
from dynamo_cli.demo import registry
from dynamo_cli.demo.registry import Entry
from dynamo_cli.demo.seen import ASK_S, CLUSTER, DEFAULT_PORT, HOST, NODES_MAX
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment


class Found(NamedTuple):
    """A demo: its folder, and what its nodes are asked by, `-c NAME` or `-n :PORT`."""

    folder: Path
    which: str


def find_demo(env: Environment, nodes: Sequence[str], base_port: int) -> Found:
    """The demo that `nodes` are of, else that of the context in force, else that of a base port. Raises CliError.

    It is looked for among those that run and are listed; or else its nodes are asked, who know where their data is.
    """
    if not nodes:
        listed = [entry for entry in registry.entries(env.directory("state")) if entry.running]
        meant = [entry for entry in listed if entry.name == env.context_name]
        meant = meant or [entry for entry in listed if entry.base_port == base_port]
        if meant:
            return Found(meant[0].folder, f"-c {meant[0].name}")
    addresses = tuple(nodes) or tuple(f"{HOST}:{base_port + number}" for number in range(1, NODES_MAX + 1))
    for address in addresses:
        told = _settings(address)
        if told is None:
            continue
        cluster, data = told
        if cluster != CLUSTER or not data:
            raise CliError(
                ExitStatus.REFUSED, f"the node at {show(address)} is of cluster {show(cluster)}, and of no demo",
                f"Name a node of yours: -n {HOST}:PORT, or its --base-port",
            )  # fmt: skip
        return Found(Path(data).parent, f"-n {show(address.removeprefix(HOST))}")
    where = ", ".join(map(show, nodes)) if nodes else f"{HOST}:{base_port + 1} or after it"
    raise CliError(ExitStatus.UNREACHABLE, f"no node of a demo at {where}", "Start one: dyn demo")


def option(base_port: int) -> str:
    """How a command says which demo it means; "" for the one of the default ports."""
    return f" --base-port {base_port}" if base_port != DEFAULT_PORT else ""


def folder_of(addresses: Sequence[str]) -> Path | None:
    """The folder of the demo that these nodes are of, None if they are of none, or if none of them answers."""
    from dynamo_cli.demo.control import SOCKET

    for address in addresses:
        try:
            told = _settings(address)
        except CliError:
            continue
        if told is not None:
            cluster, data = told
            folder = Path(data).parent
            return folder if cluster == CLUSTER and data and (folder / SOCKET).exists() else None
    return None


def listed_with(state: Path, addresses: Sequence[str]) -> Entry | None:
    """The demo of this machine whose ports these addresses have, all of them; None without one. Asks nobody."""
    ports = []
    for text in addresses:
        with suppress(CliError):
            address = parse_address(text)
            ports += [address.port] if address.host in (HOST, "localhost") else []
    if not ports or len(ports) != len(addresses):
        return None
    for entry in registry.entries(state):
        if entry.running and all(entry.base_port < port <= entry.base_port + NODES_MAX for port in ports):
            return entry
    return None


def _settings(address: str) -> tuple[str, str] | None:
    """Cluster and data directory of the node at an address, None if there is none."""
    with closing(Client([parse_address(address)], timeout_s=ASK_S, writer="demo")) as client:
        try:
            reply = client.read("CONFIG", "GET", "*")
        except CliError as error:
            if error.status in (ExitStatus.UNREACHABLE, ExitStatus.UNKNOWN):
                return None
            raise
    if not isinstance(reply, list):
        return None
    words = [word.decode(errors="replace") if isinstance(word, bytes) else "" for word in reply]
    found = dict(zip(words[::2], words[1::2], strict=False))
    return found.get("cluster", ""), found.get("data-dir", "")

"""`dyn node stop`, `info`, `ping`, `unit`: end a node, see what it is and whether it is there, have it kept running."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import running, store
from dynamo_cli.arguments import count, label, seconds_long, text
from dynamo_cli.asking import ask, members, survey
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Address, Client
from dynamo_cli.doctor.hear import info_of, reply_or_none
from dynamo_cli.errors import CliError, no_node, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import json_text, show
from dynamo_cli.render.process import info_rows, ping_rows
from dynamo_cli.told import items, mapping, whole, word

if TYPE_CHECKING:
    from rich.console import RenderableType

STOP_S = 30.0
"""As long as a node may take to stop: requests in flight end, and the store is closed."""

PINGS_MAX = 1000


def _pings(word: str) -> int:
    if count(word) > PINGS_MAX:
        raise ValueError(f"{word} is more than {PINGS_MAX}")
    return count(word)


NodeName = Annotated[
    str | None, typer.Argument(metavar="[NODE]", parser=text, help="A node by its name; default: the one asked.")
]


# stop -----------------------------------------------------------------------------------------------------------------


@command(
    "node stop",
    panel="Node",
    examples=[
        ("dyn node stop n3", "a node of this machine, as SIGTERM does"),
        ("dyn -n :7701 node stop", "the one on that port"),
        ("dyn node stop --data-dir ~/.local/share/dyn/dyn/n3", "one that does not answer, by its data"),
    ],
    exits=[3, 5, 7, 9],
    see=["node start", "node unit", "cluster leave"],
    completes={"node": "names", "data_dir": "files"},
    danger="moderate",
)
def node_stop(
    call: Call,
    node: NodeName = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            "--data-dir", metavar="DIR", parser=text, help="The node that uses this, whether it answers or not."
        ),
    ] = None,
    at_most: Annotated[
        float, typer.Option("--for", metavar="S", parser=seconds_long, help=f"Wait this long; default {STOP_S:g}.")
    ] = STOP_S,
) -> ExitStatus:
    """Stop a node of this machine cleanly: no new clients, requests in flight end, the store is closed.

    It sends the process SIGTERM, so who may stop a node is who may send it signals, and no client of it.
    The node keeps its seat and comes back with dyn node start; dyn cluster leave is for good.
    It asks first if the nodes that remain cannot meet R and W.
    """
    if data_dir is not None:
        if node is not None:
            raise usage("a node is named by its name or by --data-dir, not by both", "Leave one away")
        name, process = data_dir, running.by_directory(Path(data_dir).expanduser())
    else:
        name, process, _ = found(call, node)
    with call.timed() as took:
        ended = running.stop(process, at_most)
    took_s = took() / 1000
    if not ended:
        raise CliError(
            ExitStatus.UNKNOWN, f"{name} (pid {process.pid}) was told to stop and has not in {at_most:g} s",
            f"Wait, or end it at once: kill -9 {process.pid}",
        )  # fmt: skip
    document: Document = {"schema": "dyn.node.stop/v1", "node": name, "pid": process.pid, "took_s": round(took_s, 3)}
    if call.for_people:
        call.say(f"stopped {show(name)} (pid {process.pid}) in {took_s:.1f} s")
    else:
        call.emit(document, View(_no_screen, _stop_rows))
    return ExitStatus.OK


def found(call: Call, node: str | None) -> tuple[str, running.Process, Address]:
    """A node that answers: name, process and address, once it is clear that it may be stopped. Raises CliError."""
    with ClientOf(call, node) as client:
        info = info_of(client)
        name, told = info.get("node", node or "?"), info.get("process_id", "")
        address = client.address
        status = survey(client, "STATUS")
    process = running.by_port(address, told)
    try:
        _may_go(call, name, status)
    except BaseException:
        running.let_go(process)
        raise
    return name, process, address


def _may_go(call: Call, name: str, status: Document) -> None:
    """Have a person say so if those who remain cannot meet R and W."""
    left = sum(word(node, "state") == "up" and word(node, "name") != name for node in items(status, "nodes"))
    needed = max(whole(status, "r") or 0, whole(status, "w") or 0)
    if 0 < left < needed:
        call.confirm(f"{show(name)} is needed: {left} up without it, and R or W is {needed}. Stop it?")


def _stop_rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = ("node", "pid", "took_s")
    return names, [tuple(show(str(document[name])) for name in names)]


# info and ping --------------------------------------------------------------------------------------------------------


@command(
    "node info",
    panel="Node",
    examples=[
        ("dyn node info", "of the node that is asked"),
        ("dyn node info n3", "of another one, by its name"),
        ("dyn node info n3 --json", "with all its settings"),
    ],
    exits=[3, 5, 7],
    see=["node stats", "node ping", "version"],
    completes={"node": "names"},
)
def node_info(call: Call, node: NodeName = None) -> ExitStatus:
    """What a node is: its release, where it listens, whose it is, how it was started, what it keeps."""
    with ClientOf(call, node) as client:
        info, told = info_of(client, "server", "clients", "memory", "dyn"), store.document(client, "STATS")
        settings = settings_of(client)
        address = str(client.address)
    document: Document = {
        "schema": "dyn.node.info/v1",
        "node": info.get("node"),
        "address": address,
        "info": info,
        "settings": settings,
        "storage": dict(mapping(told, "storage")),
    }
    call.emit(document, View(_info_screen, info_rows))
    return ExitStatus.OK


def settings_of(client: Client) -> dict[str, str]:
    """What a node says it runs with (CONFIG GET), by name."""
    reply = reply_or_none(client, "CONFIG", "GET", "*")
    parts = (
        [part.decode(errors="replace") for part in reply if isinstance(part, bytes)] if isinstance(reply, list) else []
    )
    return dict(zip(parts[::2], parts[1::2], strict=False))


@command(
    "node ping",
    panel="Node",
    examples=[
        ("dyn node ping", "every node, and how long its answer takes"),
        ("dyn node ping n3 --count 10", "one of them, ten times"),
        ("dyn node ping -o plain", "a line a node, for scripts"),
    ],
    exits=[3, 5],
    see=["cluster status", "node info"],
    completes={"node": "names"},
)
def node_ping(
    call: Call,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", parser=text, help="A node by its name; default: all.")
    ] = None,
    times: Annotated[
        int, typer.Option("--count", metavar="N", parser=_pings, help="Ask each so often; default 3.")
    ] = 3,
) -> ExitStatus:
    """Ask nodes whether they are there, and say how long their answers take. Exit 5 if one does not answer."""
    addresses = members(call.client)
    if node is not None:
        addresses = {node: _address(addresses, node)}
    took: dict[str, list[float]] = {}

    def more(name: str, client: Client) -> None:
        for _ in range(times):
            with call.timed() as so_far:
                client.read("PING")
                took.setdefault(name, []).append(so_far())

    told = ask(addresses, lambda address: call.env.client_apart((address,), call.options.timeout_s), "RING", more=more)
    document: Document = {"schema": "dyn.node.ping/v1", "nodes": [
        {
            "node": each.node,
            "address": each.address,
            "ms": [round(ms, 3) for ms in took.get(each.node, [])],
            "error": None if each.error is None else each.error.message,
        }
        for each in told
    ]}  # fmt: skip
    call.emit(document, View(_ping_screen, ping_rows, lambda d: list(d["nodes"])))
    return ExitStatus.UNREACHABLE if any(each.error is not None for each in told) else ExitStatus.OK


class ClientOf:
    """The client of the node that is named, for the length of a `with`; of the one that is asked if none is."""

    def __init__(self, call: Call, node: str | None) -> None:
        self._call = call
        self._own: Client | None = None
        if node is not None:
            address = _address(members(call.client), node)
            self._own = call.env.client_apart((address,), call.options.timeout_s)

    def __enter__(self) -> Client:
        return self._own or self._call.client

    def __exit__(self, *error: object) -> None:
        if self._own is not None:
            self._own.close()


def _address(addresses: dict[str, str], node: str) -> str:
    if node not in addresses:
        raise no_node(node, sorted(addresses), " in the ring")
    return addresses[node]


# unit -----------------------------------------------------------------------------------------------------------------


@command(
    "node unit",
    panel="Node",
    examples=[
        ("dyn node unit | sudo tee /etc/systemd/system/dyn.service", "a node that the machine starts"),
        ("dyn node unit --user > ~/.config/systemd/user/dyn.service", "one that is yours alone"),
        ("dyn node unit --name n2 --config /etc/dyn/n2.toml", "with a name, and settings in a file"),
    ],
    exits=[],
    see=["node start", "node stop", "doctor"],
    completes={"config": "files"},
)
def node_unit(
    call: Call,
    user: Annotated[bool, typer.Option("--user", help="For systemctl --user: no other account, no root.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="N", parser=label, help="Name of the node.")] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", parser=text, help="Its settings, as TOML.")
    ] = None,
) -> ExitStatus:
    """Print a systemd unit for a node: it is told when the node is ready, and restarts one that hangs.

    Nothing is installed; the first lines of the unit say what to do with it.
    """
    from dynamo_cli.unit import unit

    program = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "dyn" else None
    words = [str(Path(program).absolute())] if program else [sys.executable, "-m", "dynamo_cli"]
    path = None if config is None else str(Path(config).expanduser().absolute())
    text = unit(words, user=user, name=name, config=path)
    is_json = call.format in ("json", "jsonl")
    call.env.write(json_text({"schema": "dyn.node.unit/v1", "unit": text}) if is_json else text)
    return ExitStatus.OK


def _info_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.process import info_screen

    return info_screen(document)


def _ping_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.process import ping_screen

    return ping_screen(document)


def _no_screen(document: Document, wide: bool) -> RenderableType:
    raise AssertionError("a line is said instead")

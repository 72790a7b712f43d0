"""`dyn doctor`: what is wrong here and in the cluster, and the command that mends it."""

from __future__ import annotations

import platform
import resource
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import doctor as checks
from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.asking import ask
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Client
from dynamo_cli.doctor import FAIL, WARN, Finding, Heard, Host
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.doctor import doctor_rows

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType


@command(
    "doctor",
    panel="Cluster",
    examples=[
        ("dyn doctor", "this machine and the whole cluster; exit 8 if something fails"),
        ("dyn doctor node data.hints", "only some checks, by id or by what stands before the dot"),
        ("dyn doctor --list", "every check and what it looks at"),
    ],
    exits=[8],
    see=["cluster status", "node stats"],
    completes={"wanted": " ".join(checks.CHECKS)},
)
def doctor(
    call: Call,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHECK]…", parser=text, help="By id, or host, cluster, data, node."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the checks and make none.")] = False,
) -> ExitStatus:
    """Say what is wrong here and in the cluster, and the command that mends it.

    It only reads, and may run every minute.
    A warning is what somebody should look at; a failure costs requests or data.
    """
    known = {*checks.CHECKS, *(name.partition(".")[0] for name in checks.CHECKS)}
    unknown = [word for word in wanted or () if word not in known]
    if unknown:
        raise usage(f"no check {unknown[0]!r}", "dyn doctor --list has them all")
    is_wanted = checks.chosen(wanted or ())
    if listed:
        found = [Finding(name, "", words) for name, words in checks.CHECKS.items()]
    else:
        found = [*checks.host(_host(call)), *checks.cluster(_heard(call))]
    document = _document(list(filter(is_wanted, found)))
    call.emit(document, View(_screen, doctor_rows, lambda d: list(d["checks"])))
    return ExitStatus.UNHEALTHY if document["failures"] else ExitStatus.OK


def _document(found: list[Finding]) -> Document:
    levels = [finding.level for finding in found]
    return {
        "schema": "dyn.doctor/v1",
        "checks": [finding._asdict() for finding in found],
        "failures": levels.count(FAIL),
        "warnings": levels.count(WARN),
    }


def _host(call: Call) -> Host:
    data = call.env.directory("data")
    encoding = (getattr(call.env.stdout, "encoding", None) or "").lower().replace("-", "")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    unlimited = files == resource.RLIM_INFINITY
    return Host(platform.python_version(), 1 << 20 if unlimited else files, encoding == "utf8", str(data), _free(data))


def _free(path: Path) -> int | None:
    """Free bytes where `path` is, or will be."""
    try:
        return shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists())).free
    except (OSError, StopIteration):
        return None


def _heard(call: Call) -> Heard:
    """Ask one node how the cluster is, and every node how it is itself."""
    client = call.client
    try:
        status, ring = store.document(client, "STATUS"), store.document(client, "RING")
    except CliError as error:
        return Heard(None, None, None, None, {}, {}, {}, {}, {}, error.message)
    addresses = {member["name"]: member["address"] for member in ring["members"]}
    took_ms: dict[str, float] = {}
    durability: dict[str, str] = {}
    faults: dict[str, int] = {}

    def client_of(address: str) -> Client:
        return call.env.client_apart((address,), call.options.timeout_s)

    def more(name: str, asked: Client) -> None:
        with call.timed() as took:
            asked.read("PING")
            took_ms[name] = took()
        durability[name] = _setting(asked, "durability")
        try:
            faults[name] = len(store.document(asked, "FAULT", "LIST")["faults"])
        except CliError:
            faults[name] = 0  # a node that takes no such orders obeys none

    told = ask(addresses, client_of, "STATS", more=more)
    stats = {each.node: each.document for each in told if each.document is not None}
    silent = {each.node: each.error.message for each in told if each.error is not None}
    views, hints = _perhaps(client, "VIEWS"), _perhaps(client, "HINTS")
    in_order = {name: took_ms[name] for name in addresses if name in stats and name in took_ms}
    return Heard(status, ring, views, hints, stats, in_order, silent, durability, faults)


def _setting(client: Client, name: str) -> str:
    reply = client.read("CONFIG", "GET", name)
    value = reply[1] if isinstance(reply, list) and len(reply) > 1 else b"full"
    return value.decode(errors="replace") if isinstance(value, bytes) else "full"


def _perhaps(client: Client, name: str) -> Document | None:
    try:
        return store.document(client, name)
    except CliError:
        return None


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.doctor import doctor_screen

    return doctor_screen(document)

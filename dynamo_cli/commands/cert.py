"""`dyn node cert`: a CA, and certificates for nodes and clients, without a word of openssl."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice, label, text
from dynamo_cli.call import Call, Document, Rows, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from node.core.roles import CLIENT, NODE, uri_of

if TYPE_CHECKING:
    from rich.console import RenderableType

CA = "ca"
DAYS_MAX = 3650

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def host(word: str) -> str:
    """An address, or the name of a machine."""
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        if _HOST.fullmatch(word):
            return word
    raise ValueError(f"{word!r} is no address and no host name")


def days(word: str | int) -> int:
    """How long a certificate is good."""
    if not (str(word).isascii() and str(word).isdigit() and len(str(word)) <= 4 and 1 <= int(word) <= DAYS_MAX):
        raise ValueError(f"{word!r} is not 1 to {DAYS_MAX} days")
    return int(word)


Role = Annotated[
    str, typer.Argument(metavar="ca|node|client", parser=choice(CA, NODE, CLIENT), help="What to make; the CA first.")
]
Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", parser=label, help="Of the node or client, and of the files.")
]
Folder = Annotated[str, typer.Option("--dir", metavar="DIR", parser=text, help="Where ca.pem and ca.key are; here.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", metavar="NAME", parser=label, help="Whose node or client; default dyn.")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", parser=host, help="Under which clients reach the node; several."),
]
Days = Annotated[int | None, typer.Option("--days", metavar="N", parser=days, help="Good for; default 730, a CA 3650.")]
Renew = Annotated[bool, typer.Option("--renew", help="In the place of one that is there.")]


@command(
    "node cert",
    panel="Node",
    examples=[
        ("dyn node cert ca", "ca.pem for everybody; ca.key signs: keep it"),
        ("dyn node cert node n1 --host 192.0.2.7", "n1.pem, n1.key for a node"),
        ("dyn node cert client ada", "ada.pem, ada.key for a client"),
    ],
    exits=[1, 3, 9],
    see=["node start"],
    completes={"role": "ca node client", "folder": "files"},
)
def cert(
    call: Call,
    role: Role,
    name: Name = None,
    folder: Folder = ".",
    cluster: Cluster = None,
    hosts: Hosts = None,
    days: Days = None,
    renew: Renew = False,
) -> ExitStatus:
    """Make certificates for TLS: a CA for the cluster, then one for each node, and for clients that are to show one.

    Nodes take each other by the CA and the URI dyn://CLUSTER/node in the certificate, never by host names. Those that
    --host names are for other clients, which compare them (redis-py does; dyn and redis-cli do not).
    """
    from dynamo_cli import certs

    name = name or role
    if role != CA and name == CA:
        raise usage("ca is the name of the CA", "Choose another name")
    if role == CA and name != CA:
        raise usage("a CA has no name: its files are ca.pem and ca.key", "Choose the folder: --dir DIR")
    cluster = cluster or _default(label, call.env.environ.get("DYN_CLUSTER"))
    length = days or (certs.CA_DAYS if role == CA else certs.LEAF_DAYS)
    wanted = certs.Wanted(role, name, cluster, tuple(hosts or ()), length)
    made = certs.make(wanted, Path(folder).expanduser(), renew=renew, now=certs.now())
    document: Document = {
        "schema": "dyn.cert/v1",
        "role": role,
        "name": name,
        "cluster": cluster,
        "uri": None if role == CA else uri_of(cluster, role),
        "hosts": list(dict.fromkeys((*wanted.hosts, *certs.HERE))) if role == NODE else [],
        "cert": str(made.cert),
        "key": str(made.key),
        "ca": str(made.cert.with_name("ca.pem")),
        "expires_at": f"{made.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    call.emit(document, View(_screen, cert_rows))
    return ExitStatus.OK


def _default(parse: Callable[[str], str], word: str | None) -> str:
    try:
        return parse(word) if word else "dyn"
    except ValueError as error:
        raise usage(f"DYN_CLUSTER: {error}", "Set or unset DYN_CLUSTER") from None


def cert_rows(document: Document) -> Rows:
    """One row: the certificate."""
    names = ("role", "name", "cluster", "cert", "key", "expires_at")
    return names, [tuple(show(document[name]) for name in names)]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    files = {name: show(document[name]) for name in ("cert", "key", "ca")}
    cluster = "" if document["cluster"] == "dyn" else f" --cluster {show(document['cluster'])}"
    what = {CA: "the CA", NODE: "a node", CLIENT: "a client"}[document["role"]]
    lines = [f"{files['cert']}, {files['key']}: {what} of cluster {show(document['cluster'])}"]
    lines[0] += f", good until {document['expires_at'][:10]}"
    if document["role"] == CA:
        lines += [
            "Whoever has the key can make nodes: keep it off them, and safe.",
            f"Next: dyn node cert node n1{cluster} --host ADDRESS",
        ]
    elif document["role"] == NODE:
        flags = f"--tls-cert {files['cert']} --tls-key {files['key']} --tls-ca {files['ca']}"
        lines += [f"Next: dyn node start{cluster} {flags}"]
    else:
        lines += [f"Next: dyn --tls-ca {files['ca']} --tls-cert {files['cert']} --tls-key {files['key']}"]
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")  # a command stays in one piece

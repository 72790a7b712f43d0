"""`dyn keys`, `dyn key explain`: which keys there are, and what the nodes hold of one."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import natural, text
from dynamo_cli.call import Call, Document, Rows, View
from dynamo_cli.commands.values import Key
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.listing import ALL, SIBLINGS, STALE, TOMBSTONES, Listed, Listing
from dynamo_cli.member import alone
from dynamo_cli.options import command
from dynamo_cli.progress import belated
from dynamo_cli.render.plain import csv_text, exact, json_text, shell_word, show
from dynamo_cli.render.rows import explain_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

Prefix = Annotated[
    bytes, typer.Option("--prefix", metavar="PREFIX", parser=os.fsencode, help="The prefix, as an option.")
]

TERMINAL_LIMIT = 500
"""Keys a terminal is shown unless asked for more."""


@command(
    "keys",
    panel="Data",
    examples=[
        ("dyn keys cart:", "keys that begin with cart:"),
        ("dyn keys --siblings", "keys in conflict"),
        ("dyn keys -0 | xargs -0 dyn get", "any bytes, safely"),
        ("dyn keys --stale", "keys whose owners hold different versions, and who is behind"),
        ("dyn keys --tombstones --on n2", "deleted keys that n2 still keeps a tombstone of"),
    ],
    exits=[3, 5, 6, 7],
    see=["get", "key explain", "key repair"],
    completes={"prefix": "keys", "begins": "keys", "node": "names"},
)
def keys(
    call: Call,
    prefix: Annotated[bytes, typer.Argument(metavar="[PREFIX]", parser=os.fsencode, help="Only keys like this.")] = b"",
    begins: Prefix = b"",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", parser=natural, help=f"At most N keys, 0: all. On a terminal {TERMINAL_LIMIT}."
        ),
    ] = None,
    siblings: Annotated[bool, typer.Option("--siblings", help="Only keys in conflict.")] = False,
    tombstones: Annotated[bool, typer.Option("--tombstones", help="Deleted keys that are not reaped yet.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Keys of which owners hold different versions now.")] = False,
    node: Annotated[
        str | None, typer.Option("--on", metavar="NODE", parser=text, help="What that node itself holds, and it alone.")
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", metavar="P", parser=natural, help="Only of this partition.")
    ] = None,
    null: Annotated[bool, typer.Option("-0", "--null", help="Raw keys, a NUL after each, for xargs -0.")] = False,
) -> ExitStatus:
    """List the cluster's live keys, one a line. Backslashes and control bytes are escaped.

    --tombstones and --stale list other keys, on a terminal and as csv or json with what is known of each. --stale
    compares what all owners that answer hold, partition by partition, so a write under way is among them.
    """
    chosen = [(tombstones, TOMBSTONES), (stale, STALE), (siblings, SIBLINGS)]
    which = [name for given, name in chosen if given]
    if len(which) > 1:
        raise usage(f"--{which[0].lower()} and --{which[1].lower()} list different keys", "Choose one of them")
    if stale and node is not None:
        raise usage("--stale compares owners, and --on asks one node", "Leave one of the two away")
    most = (TERMINAL_LIMIT if call.for_people else 0) if limit is None else limit
    with alone(call, node) as client:
        asked = client or call.client
        listing = Listing(
            asked, one_prefix(prefix, begins), "".join(which), partition=partition, local=node is not None
        )
        _print(call, listing, most, null=null, partly=partition is not None)
    if listing.unheard:
        call.note(f"not compared, as they do not answer: {show(', '.join(listing.unheard))}")
    return ExitStatus.OK


def one_prefix(argument: bytes, option: bytes) -> bytes:
    """The prefix, given as an argument or as an option."""
    if argument and option:
        raise usage("the prefix is given twice", "Give it as the argument, or as --prefix")
    return argument or option


def _print(call: Call, listing: Listing, most: int, *, null: bool, partly: bool) -> None:
    """Print up to `most` keys (0: all), as they come where the format allows it; else with a bar, unless `partly`."""
    told = listing.which in VIEWS and not null
    whole = call.format == "json" or (told and (call.for_people or call.format == "csv"))
    if call.format == "csv" and not whole and call.options.header:
        call.env.write("key\n")
    document: Document = {"schema": "dyn.keys/v1", "keys": []}
    shown, cut = 0, False
    with belated(call, "keys", ALL) if whole and not partly else nullcontext(lambda done: None) as listing.done:
        for listed in listing:
            if cut := bool(most) and shown == most:
                break
            shown += 1
            if whole:
                document["keys"].append(listed.item(listing.which))
            else:
                _print_one(call, listed, listing.which, null=null)
    if cut:
        call.note(f"the first {most} keys; all of them: --limit 0")
    if listing.which == STALE:
        document["unheard"] = list(listing.unheard)
    if whole and (shown or not call.for_people):
        call.emit(document, VIEWS.get(listing.which, VIEWS[STALE]))
    if not shown:
        of = f" that begin with {exact(listing.prefix)}" if listing.prefix else ""
        call.remark(f"no keys{of}{NONE.get(listing.which, '')}{_starred(listing.prefix)}")


def _starred(prefix: bytes) -> str:
    """What to type instead of a pattern: a prefix takes a star for the letter."""
    begins = prefix.rstrip(b"*")
    if begins == prefix:
        return ""
    return f". A prefix takes no star: dyn keys{' ' + shell_word(begins) if begins else ''}"


def _print_one(call: Call, listed: Listed, which: str, *, null: bool) -> None:
    if null:
        call.env.write_bytes(listed.key + b"\0")
    elif call.format == "jsonl":
        call.env.write(json_text({"schema": "dyn.keys/v1", **listed.item(which)}))
    elif call.format == "csv":
        call.env.write(csv_text((), [(exact(listed.key),)], header=False))
    else:
        call.env.write(f"{exact(listed.key)}\n")


def _tombstone_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.listed import tombstone_screen

    return tombstone_screen(document, wide=wide)


def _tombstone_rows(document: Document) -> Rows:
    from dynamo_cli.render.listed import tombstone_rows

    return tombstone_rows(document)


def _stale_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.listed import stale_screen

    return stale_screen(document, wide=wide)


def _stale_rows(document: Document) -> Rows:
    from dynamo_cli.render.listed import stale_rows

    return stale_rows(document)


VIEWS = {TOMBSTONES: View(_tombstone_screen, _tombstone_rows), STALE: View(_stale_screen, _stale_rows)}
"""How listings are shown that tell more than the key."""

NONE = {
    SIBLINGS: " in conflict",
    TOMBSTONES: " are deleted and not reaped",
    STALE: " differ among the owners that answer",
}
"""What an empty listing says."""


EXITS_BY_VERDICT = {
    "conflict": ExitStatus.CONFLICT,
    "absent": ExitStatus.NOT_FOUND,
    "deleted": ExitStatus.NOT_FOUND,
    "unreachable": ExitStatus.UNAVAILABLE,
}


@command(
    "key explain",
    panel="Data",
    examples=[
        ("dyn key explain cart:7", "owners, what each holds, what that amounts to, and what would be lost with whom"),
        ("dyn key explain cart:7 --json", "one object for each node"),
        ("dyn key explain cart:7 --field verdict", "in one word: ok, conflict, stale, deleted, absent, unreachable"),
    ],
    exits=[3, 4, 5, 6],
    see=["key history", "key repair", "merge", "ring owner"],
    completes={"key": "keys"},
)
def explain(call: Call, key: Key) -> ExitStatus:
    """Where a key lives, what each node of its preference list holds, and what that amounts to."""
    document = store.document(call.client, "EXPLAIN", key)
    call.emit(document, View(_explain_screen, explain_rows, lambda d: list(d["replicas"])))
    word, verdict = shell_word(key), document["verdict"]
    if verdict == "conflict":
        call.suggest(f"dyn merge {word}", f"dyn key history {word}")
    elif any(replica["state"] == "up" and replica["note"] for replica in document["replicas"]):
        call.suggest(f"dyn key repair {word}", f"dyn key history {word}")
    return EXITS_BY_VERDICT.get(document["verdict"], ExitStatus.OK)


def _explain_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.key_explain import explain_screen

    return explain_screen(document, wide=wide)

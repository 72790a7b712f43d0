"""`dyn cluster plan`, and what does it: `commit`, `leave`, `remove`, `replace`, `weight`; `abandon` gives it up.

(And `rotate`, which moves nothing, but is decided like those.)

Each of them asks for the plan first, shows it to who is to confirm it, and has the cluster do just that: the plan's id
carries the epoch it was made for, and a ring that has changed since refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import choice, count, seconds_long, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import WAIT_S, until_settled
from dynamo_cli.options import command
from dynamo_cli.render.plain import json_text, show
from dynamo_cli.render.plan import change_line, plan_rows, question
from node.core.limits import WEIGHT_MAX

if TYPE_CHECKING:
    from rich.console import RenderableType

EXITS = [1, 5, 6, 7, 9]
CHANGES = ("leave", "remove", "replace", "weight")
FORCE = "FORCE"


def _weight(word: str) -> str:
    if count(word) > WEIGHT_MAX:
        raise ValueError(f"{word} is more than {WEIGHT_MAX}")
    return word


Node = Annotated[str, typer.Argument(metavar="NODE", parser=text, help="A member by its name, or its id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and change nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until the ring is settled; exit 7 if it takes too long.")]
AtMost = Annotated[
    float,
    typer.Option("--for", metavar="S", parser=seconds_long, help=f"With --wait: no longer; default {WAIT_S:g}."),
]


class Doing:
    """How a change is made: only shown, and whether to stay until it is settled, and for how long."""

    def __init__(self, dry_run: bool, wait: bool, at_most_s: float) -> None:
        self.dry_run = dry_run
        self.wait = wait
        self.at_most_s = at_most_s


@command(
    "cluster plan",
    panel="Cluster",
    examples=[
        ("dyn cluster plan leave n3", "what n3 hands over to whom, and how even the ring is then"),
        ("dyn cluster plan replace n3 n6", "n6 in the place of n3, which is dead"),
        ("dyn cluster plan weight n1 2", "a share twice as large; nothing is changed yet"),
    ],
    exits=[5, 7, 9],
    see=["cluster commit", "cluster transfers", "ring simulate"],
    completes={"change": " ".join(CHANGES), "node": "names", "more": "names"},
)
def plan(
    call: Call,
    change: Annotated[
        str, typer.Argument(metavar="|".join(CHANGES), parser=choice(*CHANGES), help="What is to be changed.")
    ],
    node: Node,
    more: Annotated[
        str | None, typer.Argument(metavar="[NEW|W]", parser=text, help="Who replaces it, or its weight.")
    ] = None,
) -> ExitStatus:
    """Say what a change of the ring would move, between whom, and how even the ring is after it. Nothing is changed.

    leave: NODE hands over what it holds, and is no member then. remove: the same of a dead one, the others rebuild.
    replace: NEW takes the place of a dead NODE. weight: NODE gets a share of W parts, where others have theirs.
    """
    needs = {"replace": "Name who takes its place: dyn cluster plan replace OLD NEW",
             "weight": "Name the weight: dyn cluster plan weight NODE W"}  # fmt: skip
    if more is None and change in needs:
        raise usage(f"{change} needs one word more", needs[change])
    if more is not None and change not in needs:
        raise usage(f"{change} takes one node, and no {more!r}", f"As in: dyn cluster plan {change} {node}")
    if more is not None and change == "weight":
        try:
            _weight(more)
        except ValueError as error:
            raise usage(str(error), f"A weight is 1 to {WEIGHT_MAX}") from None
    _emit_plan(call, _planned(call, change.upper(), node, *([more] if more is not None else [])))
    return ExitStatus.OK


def _planned(call: Call, *words: str) -> Document:
    return store.document(call.client, "CLUSTER", "PLAN", *words)


def _emit_plan(call: Call, document: Document) -> None:
    call.emit(document, View(_plan_screen, plan_rows, lambda d: list(d["moves"])))


def _plan_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.plan import plan_screen

    return plan_screen(document, wide=wide)


# Doing it ---------------------------------------------------------------------------------------------


def _do(call: Call, document: Document, plan_id: str, doing: Doing) -> ExitStatus:
    """Show a plan to who is to confirm it, and do it."""
    if doing.dry_run:
        _emit_plan(call, document)
        return ExitStatus.OK
    if _is_watched(call):
        from dynamo_cli.render.plan import plan_screen

        call.draw(plan_screen(document, wide=call.format == "wide", commit=False), error=True)
        call.env.write("\n", error=True)
    call.confirm(question(document))
    return _report(call, _decided(call, document, plan_id), doing)


def _decided(call: Call, document: Document, plan_id: str) -> Document:
    """The dyn.change/v1 document of what was decided, in the words of the plan: who is gone by now had a name then."""
    return {**store.change(call.client, "COMMIT", plan_id), "change": document["change"]}


def _is_watched(call: Call) -> bool:
    """Whether a person is there to read what is not the result."""
    if call.options.yes:
        return call.for_people and call.env.stderr_is_terminal and not call.options.quiet
    return call.env.can_ask


def _force(call: Call, node: str, document: Document, plan_id: str, doing: Doing) -> ExitStatus:
    """Remove the other one of two nodes: what that risks matters more than what moves."""
    from dynamo_cli.render.plan import force_screen

    asks = not call.options.yes and not doing.dry_run
    if call.env.can_ask if asks else not call.options.quiet:  # not above the error that nobody can be asked
        call.draw(force_screen(node), error=True)
    if doing.dry_run:
        _emit_plan(call, document)
        return ExitStatus.OK
    call.confirm(f"Is {show(node)} gone for good?")
    return _report(call, _decided(call, document, plan_id), doing)


def _report(call: Call, document: Document, doing: Doing) -> ExitStatus:
    """Say what was decided, and follow it if that is wanted. Programs are told once, how it ended."""
    if doing.wait and document["state"] == "moving":
        _say(call, document, last=False)
        document = until_settled(call, document, doing.at_most_s)
    _say(call, document, last=True)
    if document["state"] == "moving":
        call.remark("Next:  dyn cluster transfers --watch")
    return ExitStatus.OK


def _say(call: Call, document: Document, *, last: bool) -> None:
    if call.for_people or call.format in ("plain", "csv"):
        call.say(change_line(document))
    elif last and call.format == "value":
        call.env.write(str(document["epoch"]))
    elif last:
        call.env.write(json_text(document))


@command(
    "cluster commit",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster commit LEAVE:n3:EPOCH:8", "what dyn cluster plan has shown, and nothing else"),
        ("dyn cluster commit LEAVE:n3:EPOCH:8 -y --wait", "for scripts: ask nothing, end when it is settled"),
    ],
    exits=EXITS,
    see=["cluster plan", "cluster transfers"],
)
def commit(
    call: Call,
    plan_id: Annotated[
        str, typer.Argument(metavar="ID", parser=text, help="The plan, as the last line of dyn cluster plan says it.")
    ],
    dry_run: DryRun = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Do what a plan says. If the ring has changed since, that is refused (exit 9) and nothing is done."""
    words = plan_id.split(":")
    if words[0].lower() not in CHANGES or words[-2:-1] != ["EPOCH"]:
        raise usage(f"{plan_id!r} is no plan", "The last line of a plan has its id: dyn cluster plan leave NODE")
    document, doing = _planned(call, *words), Doing(dry_run, wait, at_most)
    if words[2].upper() == FORCE:
        return _force(call, words[1], document, plan_id, doing)
    return _do(call, document, plan_id, doing)


@command(
    "cluster leave",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster leave n3", "show the plan, ask, and begin"),
        ("dyn cluster leave n3 --dry-run", "only show the plan"),
        ("dyn cluster leave n3 -y --wait", "for scripts: ask nothing, end when it is settled"),
    ],
    exits=EXITS,
    see=["cluster plan", "cluster transfers", "cluster remove"],
    completes={"node": "names"},
)
def leave(call: Call, node: Node, dry_run: DryRun = False, wait: Wait = False, at_most: AtMost = WAIT_S) -> ExitStatus:
    """Have a node hand over what it holds and leave: its process ends by itself once the others have everything."""
    document = _planned(call, "LEAVE", node)
    return _do(call, document, document["id"], Doing(dry_run, wait, at_most))


@command(
    "cluster remove",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster remove n3", "n3 is dead for good: the others rebuild what it held"),
        ("dyn cluster remove n3 --dry-run", "only show the plan"),
        ("dyn cluster remove n2 --force", "of two nodes, when the other one is gone"),
    ],
    exits=EXITS,
    see=["cluster leave", "cluster replace", "cluster transfers"],
    completes={"node": "names"},
)
def remove(
    call: Call,
    node: Node,
    force: Annotated[bool, typer.Option("--force", help="Decide it alone: of two nodes the other is gone.")] = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Remove a dead node: the others take over its part, from each other. One that answers leaves instead.

    Of two nodes neither can decide that alone. With --force one does, and if the other is alive after all, it goes on
    with the old ring, and what it took alone is lost.
    """
    doing = Doing(dry_run, wait, at_most)
    document = _planned(call, "REMOVE", node, *([FORCE] if force else []))
    if force:
        return _force(call, node, document, document["id"], doing)
    try:
        return _do(call, document, document["id"], doing)
    except CliError as error:
        if error.status == ExitStatus.UNAVAILABLE and len(document["before"]["replicas"]) == 2:
            error.hint = f"If {node} is gone for good: dyn cluster remove {node} --force"
        raise


@command(
    "cluster replace",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster replace n3 n6", "n6, a member without a seat, takes the place of n3, which is dead"),
        ("dyn cluster replace n3 n6 --dry-run", "only show the plan"),
        ("dyn node start --name n6 --replace n3", "the same at the start of a new node"),
    ],
    exits=EXITS,
    see=["cluster remove", "node start", "cluster transfers"],
    completes={"node": "names", "new": "names"},
)
def replace(
    call: Call,
    node: Annotated[str, typer.Argument(metavar="OLD", parser=text, help="The dead member, by its name or id.")],
    new: Annotated[str, typer.Argument(metavar="NEW", parser=text, help="The member that takes its place.")],
    dry_run: DryRun = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Put a member that owns nothing yet in the place of a dead one: it takes over just that. Nothing else moves."""
    document = _planned(call, "REPLACE", node, new)
    return _do(call, document, document["id"], Doing(dry_run, wait, at_most))


@command(
    "cluster weight",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster weight n1 2", "a share twice as large as that of weight 1"),
        ("dyn cluster weight n1 2 --dry-run", "only show the plan"),
    ],
    exits=EXITS,
    see=["cluster plan", "ring simulate", "cluster transfers"],
    completes={"node": "names"},
)
def weight(
    call: Call,
    node: Node,
    share: Annotated[str, typer.Argument(metavar="W", parser=_weight, help=f"1 to {WEIGHT_MAX}.")],
    dry_run: DryRun = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Give a node a larger share of the ring, or a smaller one."""
    document = _planned(call, "WEIGHT", node, share)
    return _do(call, document, document["id"], Doing(dry_run, wait, at_most))


@command(
    "cluster abandon",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster abandon", "give up the change that is under way"),
        ("dyn cluster abandon --dry-run", "only say what would be given up"),
    ],
    exits=EXITS,
    see=["cluster transfers", "cluster plan"],
)
def abandon(call: Call, dry_run: DryRun = False) -> ExitStatus:
    """Give up the change that is under way: the ring is again what it was before, and nothing is lost."""
    under_way = store.document(call.client, "TRANSFERS")
    epoch, state = under_way["epoch"], under_way["state"]
    if state != "moving":
        raise CliError(ExitStatus.REFUSED, f"nothing moves: ring epoch {epoch} is settled", "See: dyn cluster status")
    document = {"schema": "dyn.change/v1", "epoch": epoch, "change": under_way["change"], "state": state}
    doing = Doing(dry_run, False, 0.0)
    if dry_run:
        return _report(call, document, doing)
    call.confirm(f"{change_line(document)}. Give it up?")
    return _report(call, store.change(call.client, "ABANDON", "EPOCH", epoch), doing)


@command(
    "cluster rotate",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster rotate", "a new secret for contexts, from now on"),
        ("dyn cluster rotate -y", "for scripts: ask nothing"),
    ],
    exits=EXITS,
    see=["cluster status", "node start"],
)
def rotate(call: Call) -> ExitStatus:
    """Make a new secret, by which nodes know that a context is one of theirs. Contexts of the last one stay good.

    Those of the one before that are refused (exit 4): who still has such a context reads the key again. The cluster
    key, by which nodes know each other, is another secret: node start --help says how that one is exchanged.
    """
    epoch = store.document(call.client, "TRANSFERS")["epoch"]
    call.confirm("Make a new context secret?")
    return _report(call, store.change(call.client, "ROTATE", "EPOCH", epoch), Doing(False, False, 0.0))

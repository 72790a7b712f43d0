"""`dyn cluster plan`, and what does it: `commit`, `leave`, `remove`, `replace`, `weight`, `zone`.

Each of them asks for the plan first, shows it to who is to confirm it, and has the cluster do just that: the plan's id
carries the epoch it was made for, and a ring that has changed since refuses it.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dynamo_cli.arguments import choice, count, seconds_long, text
from dynamo_cli.call import Call, Document
from dynamo_cli.changing import Doing, carry_out, confirm, decided, emit_plan, planned, report
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import WAIT_S
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.plan import at_stake
from node.core.limits import PARTITIONS_MAX, WEIGHT_MAX

EXITS = [1, 3, 5, 6, 7, 9]
CHANGES = ("leave", "remove", "replace", "weight", "zone")
FORCE = "FORCE"
ACCEPT = "ACCEPT"


def _weight(word: str) -> str:
    if count(word) > WEIGHT_MAX:
        raise ValueError(f"{word} is more than {WEIGHT_MAX}")
    return word


def _partitions(word: str) -> int:
    if count(word) > PARTITIONS_MAX:
        raise ValueError(f"{word} is more than {PARTITIONS_MAX}")
    return int(word)


Node = Annotated[str, typer.Argument(metavar="NODE", parser=text, help="A member by its name, or its id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and change nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until the ring is settled; exit 7 if it takes too long.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="If another change is under way, do not wait for it: exit 9, nothing is done.")
]
AtMost = Annotated[
    float,
    typer.Option(
        "--for",
        metavar="S",
        parser=seconds_long,
        help=f"Wait no longer, for the change before and with --wait for this one; default {WAIT_S:g}.",
    ),
]
Loss = Annotated[
    int | None,
    typer.Option(
        "--accept-loss",
        metavar="P",
        parser=_partitions,
        help="In so many partitions data may be lost, as the plan says: go on.",
    ),
]


def _doing(dry_run: bool, no_wait: bool, wait: bool, at_most: float) -> Doing:
    return Doing(dry_run=dry_run, queue=not no_wait, wait=wait, at_most_s=at_most)


@command(
    "cluster plan",
    panel="Cluster",
    examples=[
        ("dyn cluster plan leave n3", "what n3 hands over to whom, and how even the ring is then"),
        ("dyn cluster plan replace n3 n6", "n6 in the place of n3, which is dead"),
        ("dyn cluster plan weight n1 2", "a share twice as large; nothing is changed yet"),
    ],
    exits=[3, 5, 7, 9],
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
        list[str] | None,
        typer.Argument(metavar="[NEW|W|Z|NODE]…", parser=text, help="Who replaces it, its weight or zone; more nodes."),
    ] = None,
) -> ExitStatus:
    """Say what a change of the ring would move, between whom, and how even the ring is after it. Nothing is changed.

    leave: NODE hands over what it holds, and is no member then. remove: the same of dead ones, the others rebuild.
    replace: NEW takes the place of a dead NODE. weight: NODE gets a share of W parts, where others have theirs.
    zone: NODE stands in zone Z, and further nodes in theirs.
    """
    _check_words(change, node, more or [])
    emit_plan(call, planned(call, change.upper(), node, *(more or [])))
    return ExitStatus.OK


def _check_words(change: str, node: str, more: list[str]) -> None:
    """Raise a usage error unless a change has the words that it needs."""
    needs = {"replace": "Name who takes its place: dyn cluster plan replace OLD NEW",
             "weight": "Name the weight: dyn cluster plan weight NODE W",
             "zone": "Name the zone: dyn cluster plan zone NODE Z"}  # fmt: skip
    if change in needs and (not more or (change == "zone" and len(more) % 2 == 0)):
        raise usage(f"{change} needs one word more", needs[change])
    most = {"leave": 0, "replace": 1, "weight": 1}.get(change, len(more))
    if len(more) > most:
        odd = f"{change} takes one node, and no {more[most]!r}" if not most else f"{change} takes no {more[most]!r}"
        raise usage(odd, f"As in: dyn cluster plan {' '.join([change, node, *more[:most]])}")
    if change == "weight":
        try:
            _weight(more[0])
        except ValueError as error:
            raise usage(str(error), f"A weight is 1 to {WEIGHT_MAX}") from None


def _force(call: Call, node: str, document: Document) -> None:
    """Ask before the other one of two nodes is removed: what that risks matters more than what moves."""
    from dynamo_cli.render.plan import force_screen

    if call.env.can_ask if not call.options.yes else not call.options.quiet:  # not above the error that nobody can be
        call.draw(force_screen(node), error=True)
    call.confirm(f"Is {show(node)} gone for good?")


def _confirm_loss(call: Call, again: str, accepted: int, document: Document) -> None:
    """Show the plan and ask; but first see whether what may be lost by it was accepted by its number."""
    stake = document.get("lost", 0) + document.get("doubtful", 0)
    if stake != accepted:
        hint = f"If that is accepted: {again} --accept-loss {stake}" if stake else f"As it is: {again}"
        raise CliError(ExitStatus.REFUSED, f"{show(document['change'])}: {at_stake(document)}", hint)
    confirm(call, document)


@command(
    "cluster commit",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster commit LEAVE:n3:EPOCH:8", "what dyn cluster plan has shown, and nothing else"),
        ("dyn cluster commit LEAVE:n3:EPOCH:8 -y --wait", "for scripts: ask nothing, end when it is settled"),
        ("dyn cluster commit LEAVE:n3:EPOCH:8 --dry-run", "only see whether it still holds"),
    ],
    exits=EXITS,
    see=["cluster plan", "cluster transfers"],
)
def commit(
    call: Call,
    plan_id: Annotated[
        str, typer.Argument(metavar="ID", parser=text, help="The plan, as the last line of dyn cluster plan says it.")
    ],
    accept_loss: Loss = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Do what a plan says. If the ring has changed since, that is refused (exit 9) and nothing is done."""
    words = plan_id.split(":")
    if words[0].lower() not in CHANGES or words[-2:-1] != ["EPOCH"]:
        raise usage(f"{plan_id!r} is no plan", "The last line of a plan has its id: dyn cluster plan leave NODE")
    asked, epoch = words[:-2], words[-2:]
    if accept_loss is not None:
        asked = [*(asked[:-2] if ACCEPT in asked[-2:-1] else asked), ACCEPT, str(accept_loss)]
    accepted = int(asked[-1]) if ACCEPT in asked[-2:-1] and asked[-1].isdecimal() else 0
    document, doing = planned(call, *asked, *epoch), _doing(dry_run, False, wait, at_most)
    if dry_run:
        emit_plan(call, document)
        return ExitStatus.OK
    if asked[2:] == [FORCE]:
        _force(call, asked[1], document)
    else:
        _confirm_loss(call, f"dyn cluster commit {show(plan_id)}", accepted, document)
    return report(call, decided(call, document, ":".join([*asked, *epoch]), doing), doing)


@command(
    "cluster leave",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster leave n3", "show the plan, ask, and begin"),
        ("dyn cluster leave n3 --dry-run", "only show the plan"),
        ("dyn cluster leave n3 -y --wait", "for scripts: ask nothing, end when it is settled"),
        ("dyn cluster leave n3 --no-wait", "not if another change is under way, which is else waited for"),
    ],
    exits=EXITS,
    see=["cluster plan", "cluster transfers", "cluster remove"],
    completes={"node": "names"},
)
def leave(
    call: Call,
    node: Node,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Have a node hand over what it holds and leave: its process ends by itself once the others have everything.

    The ring makes one change at a time: another one that is under way is waited for, and then this one is planned.
    """
    return carry_out(call, _doing(dry_run, no_wait, wait, at_most), partial(confirm, call), "LEAVE", node)


@command(
    "cluster remove",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster remove n3", "n3 is dead for good: the others rebuild what it held"),
        ("dyn cluster remove n3 n4", "both are, and go at once; the plan says what may be lost with them"),
        ("dyn cluster remove n3 --dry-run", "only show the plan"),
        ("dyn cluster remove n2 --force", "of two nodes, when the other one is gone"),
    ],
    exits=EXITS,
    see=["cluster leave", "cluster replace", "cluster transfers"],
    completes={"nodes": "names"},
)
def remove(
    call: Call,
    nodes: Annotated[
        list[str], typer.Argument(metavar="NODE…", parser=text, help="Dead members, by their names or ids.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Decide it alone: of two nodes the other is gone.")] = False,
    accept_loss: Loss = None,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Remove dead nodes: the others take over their part, from each other. One that answers leaves instead.

    Several that are dead are named together: what was on two of them, one is not rebuilt from the other. Where no owner
    of a partition is left, or so many go that they may have acknowledged writes alone, it takes --accept-loss.

    Of two nodes neither can decide that alone. With --force one does, and if the other is alive after all, it goes on
    with the old ring, and what it took alone is lost.
    """
    doing = _doing(dry_run, no_wait, wait, at_most)
    if force:
        if len(nodes) > 1 or accept_loss is not None:
            raise usage(
                "--force is for one node, the other one of two", f"As in: dyn cluster remove {nodes[0]} --force"
            )
        return carry_out(call, doing, partial(_force, call, nodes[0]), "REMOVE", nodes[0], FORCE)
    again = f"dyn cluster remove {' '.join(map(show, nodes))}"
    accepted = () if accept_loss is None else (ACCEPT, str(accept_loss))
    voters = 0

    def ask(document: Document) -> None:
        nonlocal voters
        voters = len(document["before"]["replicas"])
        _confirm_loss(call, again, accept_loss or 0, document)

    try:
        return carry_out(call, doing, ask, "REMOVE", *nodes, *accepted)
    except CliError as error:
        if error.status == ExitStatus.UNAVAILABLE and voters == 2:
            error.hint = f"If {show(nodes[0])} is gone for good: {again} --force"
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
    no_wait: NoWait = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Put a member that owns nothing yet in the place of a dead one: it takes over just that. Nothing else moves."""
    return carry_out(call, _doing(dry_run, no_wait, wait, at_most), partial(confirm, call), "REPLACE", node, new)


@command(
    "cluster weight",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster weight n1 2", "a share twice as large as that of weight 1"),
        ("dyn cluster weight n1 2 --dry-run", "only show the plan"),
        ("dyn cluster weight n1 1 -y --wait", "back again, and stay until it is settled"),
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
    no_wait: NoWait = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Give a node a larger share of the ring, or a smaller one."""
    return carry_out(call, _doing(dry_run, no_wait, wait, at_most), partial(confirm, call), "WEIGHT", node, share)


@command(
    "cluster zone",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster zone n1 east", "n1 stands in another zone than it was started with"),
        ("dyn cluster zone n1 east n2 west n3 east n4 west", "all of them in one change: then data moves once"),
        ("dyn cluster zone n1 east n2 west --dry-run", "only show the plan"),
    ],
    exits=EXITS,
    see=["cluster plan", "node start", "ring show"],
    completes={"node": "names", "more": "names"},
)
def zone(
    call: Call,
    node: Node,
    in_zone: Annotated[str, typer.Argument(metavar="Z", parser=text, help="Its zone from now on.")],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE Z]…", parser=text, help="Further nodes, each with its zone."),
    ] = None,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    wait: Wait = False,
    at_most: AtMost = WAIT_S,
) -> ExitStatus:
    """Put nodes into other zones: the replicas of a partition go to as many zones as there are.

    Name all of them at once. Of two zones one of which has one node, that node owns every partition. A node keeps its
    zone when it is started again, whatever --zone says then.
    """
    words = [node, in_zone, *(more or [])]
    if len(words) % 2:
        raise usage(f"{words[-1]!r} has no zone", "As in: dyn cluster zone n1 east n2 west")
    return carry_out(call, _doing(dry_run, no_wait, wait, at_most), partial(confirm, call), "ZONE", *words)

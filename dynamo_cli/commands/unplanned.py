"""`dyn cluster abandon` and `dyn cluster rotate`: decided like a change of the ring, but nothing is to be planned."""

from __future__ import annotations

from dynamo_cli import store
from dynamo_cli.call import Call
from dynamo_cli.changing import Doing, report, rotated
from dynamo_cli.commands.change import EXITS, AtMost, DryRun, NoWait
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import WAIT_S
from dynamo_cli.options import command
from dynamo_cli.render.plan import change_line


@command(
    "cluster abandon",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster abandon", "give up the change that is under way"),
        ("dyn cluster abandon --dry-run", "only say what would be given up"),
        ("dyn cluster abandon -y", "for scripts: ask nothing"),
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
    if dry_run:
        return report(call, document, Doing())
    call.confirm(f"{change_line(document)}. Give it up?")
    return report(call, store.change(call.client, "ABANDON", "EPOCH", epoch), Doing())


@command(
    "cluster rotate",
    panel="Cluster",
    danger="moderate",
    examples=[
        ("dyn cluster rotate", "a new secret for contexts, from now on"),
        ("dyn cluster rotate -y", "for scripts: ask nothing"),
        ("dyn cluster rotate --no-wait", "refuse if a change is under way, instead of waiting for its end"),
    ],
    exits=EXITS,
    see=["cluster status", "node start"],
)
def rotate(call: Call, no_wait: NoWait = False, at_most: AtMost = WAIT_S) -> ExitStatus:
    """Make a new secret, by which nodes know that a context is one of theirs. Contexts of the last one stay good.

    Those of the one before that are refused (exit 4): who still has such a context reads the key again. The cluster
    key, by which nodes know each other, is another secret: node start --help says how that one is exchanged.
    """
    call.confirm("Make a new context secret?")
    doing = Doing(queue=not no_wait, at_most_s=at_most)
    return report(call, rotated(call, doing), doing)

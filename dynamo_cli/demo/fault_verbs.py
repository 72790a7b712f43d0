"""Verbs of the demo's shell that break its network, clocks and processes, and say what the cluster does about it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dynamo_cli import breaking, faults
from dynamo_cli.call import Call, View
from dynamo_cli.client import Client, parse_address
from dynamo_cli.demo.acts import ACTS
from dynamo_cli.demo.facility import Demo, every, running
from dynamo_cli.demo.noticing import (
    ask,
    health_of,
    hints_for,
    siblings_of,
    until_handed_over,
    until_states,
)
from dynamo_cli.demo.processes import ASK_S, DemoNode
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.faults import fault_rows, fault_screen
from dynamo_cli.render.plain import shell_word, show
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import verb

AT_ONCE_S = 0.15
"""Sooner than this is at once: it takes as long to ask."""
NAMED_MAX = 3
"""Keys with siblings that are named; the others are counted."""


def give(demo: Demo, *words: str) -> None:
    """Have a fault obeyed, written as in `breaking`. Raises CliError."""
    orders = breaking.orders_of(words, [node.name for node in demo.cluster])
    addresses = {node.name: node.place.address for node in demo.cluster}
    running = {node.name for node in demo.cluster if not node.ended and not node.paused}
    if not any(name in running for name, _ in orders):
        raise CliError(ExitStatus.UNREACHABLE, "no node that this concerns runs", "See: \\nodes")
    told = faults.tell([order for order in orders if order[0] in running], addresses, _client)
    wrong = faults.failure(told, [order for order in orders if order[0] in running])
    if wrong is not None:
        raise wrong
    demo.faults.look()


def _client(address: str) -> Client:
    return Client([parse_address(address)], timeout_s=ASK_S, writer="demo")


def act(demo: Demo, what: str, name: str) -> None:
    """Have something done to a node's process. Raises CliError."""
    for _ in ACTS[what](demo.changes, name):
        pass


def after(seconds: float) -> str:
    """When something was seen."""
    return "at once" if seconds < AT_ONCE_S else f"after {seconds:.1f} s"


def rows(count: int) -> str:
    """So many."""
    return f"{count:,} row{'s' if count != 1 else ''}"


def noticed(demo: Demo, node: DemoNode) -> str:
    """Watch the others notice that a node is silent, and say how long it took them, and what that means for keys."""
    others = [other for other in demo.cluster if other is not node and not other.ended and not other.paused]
    if not others:
        return "no other node is left"
    reached = until_states([(other, node) for other in others], ("suspect", "down"))
    if "down" not in reached:
        return "the others have not noticed yet: cluster views"
    suspect, down = after(reached["suspect"]), after(reached["down"])
    suspected = f"suspected {suspect}, " if suspect != down else ""
    who = f"by all {len(others)}" if len(others) > 1 else f"by {others[0].name}"
    health = health_of(demo.cluster, [node.name])
    return f"{suspected}called down {who} {down}" + (f"\n{health}" if health else "")


def back(demo: Demo, node: DemoNode) -> str:
    """Watch the others notice that a node is back, and hand over what they kept for it."""
    others = [other for other in demo.cluster if other is not node and not other.ended and not other.paused]
    began, held = time.monotonic(), hints_for(demo.cluster, node.name)
    reached = until_states([(other, node) for other in others], ("up",))
    over = not held or until_handed_over(demo.cluster, node.name) is not None
    parts = [f"called up {after(reached['up'])}" if "up" in reached else "not called up yet: cluster views"]
    if held:
        parts.append(
            f"{rows(held)} kept for it handed over within {time.monotonic() - began:.1f} s"
            if over
            else f"{rows(held)} kept for it on the way: cluster hints"
        )
    return ", ".join(parts)


@verb(
    "kill", usage="NODE", summary="End a node at once, as a power cut would (kill -9).", needs=Demo,
    completes=running, danger=True,
)  # fmt: skip
def kill(shell: Session, words: Sequence[str]) -> int:
    """Then watch the others notice."""
    demo = shell.facility(Demo)
    node = demo.cluster.find(words[0])
    pid = node.pid
    act(demo, "kill", node.name)
    shell.env.write(f"{node.name} killed (kill -9, pid {pid})\n")
    shell.env.write(f"{noticed(demo, node)}\nnext  put and get go on      \\restart {node.name}\n")
    return ExitStatus.OK


@verb(
    "pause", usage="NODE", summary="Stop a node's process where it is (SIGSTOP): its sockets stay, it is silent.",
    needs=Demo, completes=running, danger=True,
)  # fmt: skip
def pause(shell: Session, words: Sequence[str]) -> int:
    """Then watch the others notice."""
    demo = shell.facility(Demo)
    node = demo.cluster.find(words[0])
    act(demo, "pause", node.name)
    demo.faults.look()
    shell.env.write(f"{node.name} paused (SIGSTOP, pid {node.pid}): nothing is closed, and nothing answers\n")
    shell.env.write(f"{noticed(demo, node)}\nnext  \\resume {node.name}\n")
    return ExitStatus.OK


def _paused(shell: Session, words: Sequence[str]) -> list[str]:
    return [node.name for node in shell.facility(Demo).cluster if node.paused] if not words else []


@verb("resume", usage="[NODE]", summary="Let paused nodes go on, or one of them.", needs=Demo, completes=_paused)
def resume(shell: Session, words: Sequence[str]) -> int:
    """And watch what they missed being handed over."""
    demo = shell.facility(Demo)
    nodes = [demo.cluster.find(words[0])] if words else [node for node in demo.cluster if node.paused]
    if not nodes:
        raise CliError(ExitStatus.FAILURE, "no node is paused", "Pause one: \\pause NODE")
    for node in nodes:
        act(demo, "resume", node.name)
        shell.env.write(f"{node.name} goes on as if nothing had been\n{back(demo, node)}\n")
    demo.faults.look()
    return ExitStatus.OK


@verb(
    "partition", usage="A,B… [/] [C,D…]", summary="Cut the network in two or more: n1,n2 / n3,n4,n5.", needs=Demo,
    completes=every, danger=True,
)  # fmt: skip
def partition(shell: Session, words: Sequence[str]) -> int:
    """Then watch each side call the others down."""
    demo = shell.facility(Demo)
    cut = breaking.sides_of(words, [node.name for node in demo.cluster])
    give(demo, "partition", *words)
    sides = [[demo.cluster.find(name) for name in side] for side in cut.sides]
    drawn = " | ".join("{" + " ".join(side) + "}" for side in cut.sides)
    links = f"{cut.links} link{'s' if cut.links != 1 else ''}"
    shell.env.write(f"cut {links}: {drawn}\n")
    alive = [[node for node in side if not node.ended and not node.paused] for side in sides]
    views = [
        (witness, other) for side in alive for witness in side for there in sides if there is not side
        for other in there if any(other is node for those in alive if those is not side for node in those)
    ]  # fmt: skip
    reached = until_states(views, ("suspect", "down"))
    if "down" in reached:
        shell.env.write(f"every node calls those beyond the cut down {after(reached['down'])}\n")
    ring = next((found for node in demo.cluster if (found := ask(node, "RING"))), None)
    if ring is not None:
        for side in alive:
            shell.env.write(f"  {{{' '.join(node.name for node in side)}}}  {can(len(side), ring['r'], ring['w'])}\n")
    first, second = cut.sides[0][0], cut.sides[1][0]
    ports = [demo.cluster.find(name).place.port for name in (first, second)]
    shell.env.write(f"next  put KEY VALUE -n :{ports[0]}      put KEY OTHER -n :{ports[1]}      \\heal\n")
    return ExitStatus.OK


def can(nodes: int, r: int, w: int) -> str:
    """What so many nodes on one side of a cut can do: stand-ins count, unless STRICT is asked for."""
    reads = f"reads (R={r})" if nodes >= r else ""
    writes = f"writes (W={w})" if nodes >= w else ""
    if reads and writes:
        return f"takes {writes} and {reads}, with stand-ins"
    if reads or writes:
        return f"takes {reads or writes} only"
    return f"takes nothing: {nodes} of the {min(r, w)} nodes that R={r} W={w} need"


@verb("heal", summary="Make every link whole again: no cut, no delay, no loss.", needs=Demo)
def heal(shell: Session, words: Sequence[str]) -> int:
    """And watch hints being handed over, and what conflicts come to light."""
    demo = shell.facility(Demo)
    before, held = siblings_of(demo.cluster), hints_for(demo.cluster)
    began = time.monotonic()
    give(demo, "heal")
    shell.env.write("every link is whole again\n")
    alive = [node for node in demo.cluster if not node.ended and not node.paused]
    reached = until_states([(one, other) for one in alive for other in alive if one is not other], ("up",))
    if "up" in reached:
        shell.env.write(f"every node calls every other up {after(reached['up'])}\n")
    if held:
        done = "are being handed over: cluster hints"
        if until_handed_over(demo.cluster) is not None:
            done = f"were handed over within {time.monotonic() - began:.1f} s"
        shell.env.write(f"{rows(held)} that stand-ins kept {done}\n")
    now = siblings_of(demo.cluster)
    new = [key for key in now or () if key not in (before or ())]
    if new:
        named = ", ".join(show(key) for key in new[:NAMED_MAX])
        more = f" and {len(new) - NAMED_MAX} more" if len(new) > NAMED_MAX else ""
        what = "keys with siblings" if before is None else "written on both sides"
        shell.env.write(f"{what}: {named}{more}\nnext  get {shell_word(new[0])}\n")
    left = demo.faults.marks
    if left:
        shell.env.write(f"still in force: {left}      next  \\faults\n")
    return ExitStatus.OK


@verb(
    "slow", usage="NODE MS", summary="Each message to and from a node so many milliseconds late; 0: no longer.",
    needs=Demo, completes=every, danger=True,
)  # fmt: skip
def slow(shell: Session, words: Sequence[str]) -> int:
    """And say who waits for it."""
    demo = shell.facility(Demo)
    give(demo, "slow", *words)
    if float(words[1]) == 0:
        shell.env.write(f"{words[0]} is on time again\n")
        return ExitStatus.OK
    shell.env.write(
        f"each message to and from {words[0]} is {words[1]} ms late. Who coordinates asks all owners and answers\n"
        f"with the first R or W of them, so a request waits for {words[0]} only if it went to it, or if a quorum\n"
        f"needs it.\nnext  get KEY -n :{demo.cluster.find(words[0]).place.port}      \\slow {words[0]} 0\n"
    )
    return ExitStatus.OK


@verb(
    "drop", usage="A B PERCENT", summary="Lose so many of the messages between two nodes, or groups; 0: none.",
    needs=Demo, completes=every, danger=True,
)  # fmt: skip
def drop(shell: Session, words: Sequence[str]) -> int:
    """And say what the nodes do about it."""
    demo = shell.facility(Demo)
    give(demo, "drop", *words)
    if float(words[2]) == 0:
        shell.env.write(f"nothing is lost between {words[0]} and {words[1]} any more\n")
        return ExitStatus.OK
    shell.env.write(
        f"{words[2]} % of the messages between {words[0]} and {words[1]} are lost, each way. Requests that get no\n"
        "answer are sent again or to a stand-in; what a replica missed, hints and repair bring.\n"
        f"next  bench --duration 3      cluster views      \\drop {words[0]} {words[1]} 0\n"
    )
    return ExitStatus.OK


@verb(
    "skew", usage="NODE SECONDS", summary="Set a node's clock so many seconds ahead (or -behind); 0: right again.",
    needs=Demo, completes=every, danger=True,
)  # fmt: skip
def skew(shell: Session, words: Sequence[str]) -> int:
    """And say what that does: next to nothing."""
    demo = shell.facility(Demo)
    give(demo, "skew", *words)
    if float(words[1]) == 0:
        shell.env.write(f"{words[0]}'s clock is right again\n")
        return ExitStatus.OK
    shell.env.write(
        f"{words[0]}'s clock is {float(words[1]):+g} s off. No decision goes by a clock: which value is newer is told\n"
        "by what its writer had seen. Only the times that are shown are wrong.\n"
        f"next  put KEY VALUE -n :{demo.cluster.find(words[0]).place.port}      get KEY      \\skew {words[0]} 0\n"
    )
    return ExitStatus.OK


@verb("faults", summary="What is broken now, node by node.", needs=Demo)
def list_faults(shell: Session, words: Sequence[str]) -> int:
    """As `fault list`, and the processes that are paused or gone."""
    demo = shell.facility(Demo)
    addresses = {node.name: node.place.address for node in demo.cluster}
    up = [node for node in demo.cluster if not node.ended and not node.paused]
    if up:
        told = faults.tell([(node.name, ("LIST",)) for node in up], addresses, _client)
        Call(shell.env).emit(faults.document(told), View(lambda d, wide: fault_screen(d), fault_rows))
    for node in demo.cluster:
        if node.paused:
            shell.env.write(f"{node.name} is paused      \\resume {node.name}\n")
        elif node.ended:
            shell.env.write(f"{node.name} {node.how}      \\restart {node.name}\n")
    return ExitStatus.OK

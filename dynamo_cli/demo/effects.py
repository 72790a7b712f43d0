"""What is done to a demo, and what its cluster makes of it: lines of text, for its shells and for `dyn demo`.

Each function does something, watches the nodes notice, and tells it line by line. All raise CliError.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence

from dynamo_cli import breaking, faults
from dynamo_cli.call import Document
from dynamo_cli.demo.facility import Demo
from dynamo_cli.demo.noticing import (
    ask,
    health_of,
    hints_for,
    is_its_own,
    siblings_of,
    until_handed_over,
    until_states,
)
from dynamo_cli.demo.seen import Node, alive, client, late, tell
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import shell_word, show

AT_ONCE_S = 0.15
"""Sooner than this is at once: it takes as long to ask."""
NAMED_MAX = 3
"""Keys with siblings that are named; the others are counted."""
COLUMNS = 80

Effect = Callable[[Demo, Sequence[str]], Iterator[str]]


# Means ---------------------------------------------------------------------------------------------------


def give(demo: Demo, *words: str) -> None:
    """Have a fault obeyed, written as in `breaking`. Raises CliError."""
    cluster = demo.cluster
    orders = breaking.orders_of(words, [node.name for node in cluster])
    awake = {node.name for node in alive(cluster)}
    if not any(name in awake for name, _ in orders):
        raise CliError(ExitStatus.UNREACHABLE, "no node that this concerns runs", f"See: {demo.tongue.act('faults')}")
    tell(cluster, orders)
    if words[0] == "heal":
        late(cluster)
    elif words[0] == "slow" and is_none(words[2:]):
        late(cluster, about=words[1])
    demo.faults.look()


def is_none(figures: Sequence[str]) -> bool:
    """Whether a delay, a loss or a skew of this much is none. (What is no number was refused before.)"""
    return not any(float(figure) for figure in figures if figure != breaking.JITTER)


def after(seconds: float) -> str:
    """When something was seen."""
    return "at once" if seconds < AT_ONCE_S else f"after {seconds:.1f} s"


def rows(count: int) -> str:
    """So many."""
    return f"{count:,} row{'s' if count != 1 else ''}"


def following(*typed: str) -> str:
    """What may be typed next, on as many lines as it takes."""
    lines = [f"next  {typed[0]}"]
    for words in typed[1:]:
        longer = f"{lines[-1]}      {words}"
        if len(longer) <= COLUMNS:
            lines[-1] = longer
        else:
            lines.append(f"      {words}")
    return "\n".join(lines)


def noticed(demo: Demo, node: Node) -> Iterator[str]:
    """Watch the others notice that a node is silent, and say how long it took them, and what that means for keys."""
    others = [other for other in alive(demo.cluster) if other is not node]
    if not others:
        yield "no other node is left"
        return
    reached = until_states([(other, node) for other in others], ("suspect", "down"))
    if "down" not in reached:
        yield f"the others have not noticed yet: {demo.tongue.run('cluster views')}"
        return
    suspect, down = after(reached["suspect"]), after(reached["down"])
    suspected = f"suspected {suspect}, " if suspect != down else ""
    who = f"by all {len(others)}" if len(others) > 1 else f"by {others[0].name}"
    yield f"{suspected}called down {who} {down}"
    if health := health_of(demo.cluster, [node.name]):
        yield health


def back(demo: Demo, node: Node) -> str:
    """Watch the others notice that a node is back, and hand over what they kept for it."""
    others = [other for other in alive(demo.cluster) if other is not node]
    began, held = time.monotonic(), hints_for(demo.cluster, node.name)
    reached = until_states([(other, node) for other in others], ("up",))
    over = not held or until_handed_over(demo.cluster, node.name) is not None
    views = demo.tongue.run("cluster views")
    parts = [f"called up {after(reached['up'])}" if "up" in reached else f"not called up yet: {views}"]
    if held:
        parts.append(
            f"{rows(held)} kept for it handed over within {time.monotonic() - began:.1f} s"
            if over
            else f"{rows(held)} kept for it on the way: {demo.tongue.run('cluster hints')}"
        )
    return ", ".join(parts)


# Processes -----------------------------------------------------------------------------------------------


def kill(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """End a node at once."""
    node = demo.cluster.find(words[0])
    pid = node.pid
    demo.order("kill", node.name)
    yield f"{node.name} killed (kill -9, pid {pid})"
    yield from noticed(demo, node)
    yield following("put and get go on", demo.tongue.act(f"restart {node.name}"))


def restart(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Start a node again: a clean stop if it runs, then the same command."""
    node = demo.cluster.find(words[0])
    took_s = demo.order("restart", node.name)["took_s"]
    status = ask(node, "STATUS")
    keys = next((found["keys"] for found in status["nodes"] if found["name"] == node.name), None) if status else None
    yield f"{node.name} ready after {took_s:.1f} s (pid {node.pid}), keys: {'?' if keys is None else keys}"
    yield back(demo, node)


def pause(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Stop a node's process where it is."""
    node = demo.cluster.find(words[0])
    demo.order("pause", node.name)
    demo.faults.look()
    yield f"{node.name} paused (SIGSTOP, pid {node.pid}): nothing is closed, and nothing answers"
    yield from noticed(demo, node)
    yield following(demo.tongue.act(f"resume {node.name}"))


def resume(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Let paused nodes go on, or one of them; watch what they missed being handed over."""
    paused = [node for node in demo.cluster if node.paused]
    nodes = [demo.cluster.find(words[0])] if words else paused
    if not nodes:
        raise CliError(ExitStatus.FAILURE, "no node is paused", f"Pause one: {demo.tongue.act('pause NODE')}")
    for node in nodes:
        demo.order("resume", node.name)
        yield f"{node.name} goes on as if nothing had been"
        yield back(demo, node)
    demo.faults.look()


# The network ---------------------------------------------------------------------------------------------


def partition(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Cut the network in two or more; watch each side call the others down."""
    cluster, tongue = demo.cluster, demo.tongue
    cut = breaking.sides_of(words, [node.name for node in cluster])
    give(demo, "partition", *words)
    sides = [[cluster.find(name) for name in side] for side in cut.sides]
    drawn = " | ".join("{" + " ".join(side) + "}" for side in cut.sides)
    yield f"cut {cut.links} link{'s' if cut.links != 1 else ''}: {drawn}"
    awake = [[node for node in side if not node.ended and not node.paused] for side in sides]
    views = [
        (witness, other) for side in awake for witness in side for those in awake if those is not side
        for other in those
    ]  # fmt: skip
    reached = until_states(views, ("suspect", "down"))
    if "down" in reached:
        yield f"every node calls those beyond the cut down {after(reached['down'])}"
    ring = next((found for node in cluster if (found := ask(node, "RING"))), None)
    if ring is not None:
        for side in awake:
            yield f"  {{{' '.join(node.name for node in side)}}}  {can(len(side), ring['r'], ring['w'])}"
    ports = [cluster.find(side[0]).place.port for side in cut.sides[:2]]
    puts = [f"put KEY {value} -n :{port}" for value, port in zip(("VALUE", "OTHER"), ports, strict=True)]
    yield following(*map(tongue.run, puts), tongue.act("heal"))


def can(nodes: int, r: int, w: int) -> str:
    """What so many nodes on one side of a cut can do: stand-ins count, unless STRICT is asked for."""
    reads = f"reads (R={r})" if nodes >= r else ""
    writes = f"writes (W={w})" if nodes >= w else ""
    if reads and writes:
        return f"takes {writes} and {reads}, with stand-ins"
    if reads or writes:
        return f"takes {reads or writes} only"
    return f"takes nothing: {nodes} of the {min(r, w)} nodes that R={r} W={w} need"


def heal(demo: Demo, words: Sequence[str] = ()) -> Iterator[str]:
    """Make every link whole again; watch hints being handed over, and what conflicts come to light."""
    cluster, tongue = demo.cluster, demo.tongue
    before, held = siblings_of(cluster), hints_for(cluster)
    began = time.monotonic()
    give(demo, "heal")
    each = f", {cluster.latency_ms:g} ms late as at the start" if cluster.latency_ms else ""
    yield f"every link is whole again{each}"
    awake = alive(cluster)
    reached = until_states([(one, other) for one in awake for other in awake if one is not other], ("up",))
    if "up" in reached:
        yield f"every node calls every other up {after(reached['up'])}"
    if held:
        done = f"are being handed over: {tongue.run('cluster hints')}"
        if until_handed_over(cluster) is not None:
            done = f"were handed over within {time.monotonic() - began:.1f} s"
        yield f"{rows(held)} that stand-ins kept {done}"
    now = siblings_of(cluster)
    new = [key for key in now or () if key not in (before or ())]
    if new:
        named = ", ".join(show(key) for key in new[:NAMED_MAX])
        more = f" and {len(new) - NAMED_MAX} more" if len(new) > NAMED_MAX else ""
        what = "keys with siblings" if before is None else "written on both sides"
        yield f"{what}: {named}{more}"
        yield following(tongue.run(f"get {shell_word(new[0])}"))
    left = demo.faults.marks
    if left:
        yield f"still in force: {left}      next  {tongue.act('faults')}"


def slow(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Make a node slow, and say who waits for it."""
    give(demo, "slow", *words)
    name, (ms, *more) = words[0], [word for word in words[1:] if word != breaking.JITTER]
    if is_none(words[1:]):
        yield f"{name} is on time again"
        return
    late_by = f"{ms} to {float(ms) + float(more[0]):g}" if more and float(more[0]) else ms
    yield from textwrap.wrap(
        f"each message to and from {name} is {late_by} ms late. Who coordinates asks all owners and answers with the "
        f"first R or W of them, so a request waits for {name} only if it went to it, or if a quorum needs it.",
        COLUMNS,
    )
    port = demo.cluster.find(name).place.port
    yield following(demo.tongue.run(f"get KEY -n :{port}"), demo.tongue.act(f"slow {name} 0"))


def drop(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Lose messages between two nodes, and say what the nodes do about it."""
    give(demo, "drop", *words)
    if is_none(words[2:]):
        yield f"nothing is lost between {words[0]} and {words[1]} any more"
        return
    yield from textwrap.wrap(
        f"{words[2]} % of the messages between {words[0]} and {words[1]} are lost, each way. Requests that get no "
        "answer are sent again or to a stand-in; what a replica missed, hints and repair bring.",
        COLUMNS,
    )
    run, tongue = demo.tongue.run, demo.tongue
    yield following(run("bench --duration 3"), run("cluster views"), tongue.act(f"drop {words[0]} {words[1]} 0"))


def skew(demo: Demo, words: Sequence[str]) -> Iterator[str]:
    """Set a node's clock wrong, and say what that does: next to nothing."""
    give(demo, "skew", *words)
    if is_none(words[1:]):
        yield f"{words[0]}'s clock is right again"
        return
    yield from textwrap.wrap(
        f"{words[0]}'s clock is {float(words[1]):+g} s off. No decision goes by a clock: which value is newer is told "
        "by what its writer had seen. Only the times that are shown are wrong.",
        COLUMNS,
    )
    port = demo.cluster.find(words[0]).place.port
    put, get = f"put KEY VALUE -n :{port}", "get KEY"
    yield following(*map(demo.tongue.run, (put, get)), demo.tongue.act(f"skew {words[0]} 0"))


# All of it -----------------------------------------------------------------------------------------------


def reset(demo: Demo, words: Sequence[str] = ()) -> Iterator[str]:
    """Undo everything: links, clocks and disks, and processes that are paused or gone."""
    cluster = demo.cluster
    for node in cluster:
        if node.paused:
            demo.order("resume", node.name)
            yield f"{node.name} goes on as if nothing had been"
        elif node.ended:
            how = node.how
            demo.order("restart", node.name)
            yield f"{node.name} {how}: started again (pid {node.pid})"
    for node in cluster:
        kinds = _kinds(node)
        if "skew" in kinds:
            give(demo, "skew", node.name, "0")
            yield f"{node.name}'s clock is right again"
        if "disk" in kinds:
            give(demo, "disk", node.name, "ok")
            if "disk" in _kinds(node):  # one that had an error is done for
                demo.order("restart", node.name)
                yield f"{node.name} had a broken disk: started again (pid {node.pid})"
            else:
                yield f"{node.name}'s disk takes writes again"
    yield from heal(demo)


def _kinds(node: Node) -> list[str]:
    return [fault["kind"] for fault in (ask(node, "FAULT", "LIST") or {"faults": ()})["faults"]]


def listed(demo: Demo) -> Document:
    """The faults in force, and the processes that cannot tell theirs: a dyn.fault.nodes/v1 document."""
    addresses = {node.name: node.place.address for node in demo.cluster}
    awake = alive(demo.cluster)
    document = faults.document(faults.tell([(node.name, ("LIST",)) for node in awake], addresses, client))
    for node in demo.cluster:
        if node not in awake:
            error = "it is paused" if node.paused else node.how
            told = {"node": node.name, "address": node.place.address, "faults": None, "note": None, "error": error}
            document["nodes"].append(told)
    return document


def broken(demo: Demo, document: Document) -> Document:
    """Of a dyn.fault.nodes/v1 document what a person wants to see: not the latency that the demo began with."""
    nodes = []
    for node in document["nodes"]:
        own = node["faults"] and [fault for fault in node["faults"] if not is_its_own(fault, demo.cluster)]
        nodes.append({**node, "faults": own})
    return {**document, "nodes": nodes}


def mending(demo: Demo) -> Iterator[str]:
    """What else there is to say of the faults: how slow the demo is; how processes that are gone are brought back."""
    if demo.cluster.latency_ms:
        yield f"every link is {demo.cluster.latency_ms:g} ms late, as at the start"
    for node in demo.cluster:
        if node.paused:
            yield f"{node.name} is paused      {demo.tongue.act(f'resume {node.name}')}"
        elif node.ended:
            yield f"{node.name} {node.how}      {demo.tongue.act(f'restart {node.name}')}"

"""Verbs of a demo's shells that break its network, clocks and processes: what they do and tell is in `effects`."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli.call import Call, View
from dynamo_cli.demo import effects
from dynamo_cli.demo.control import DemoFailed
from dynamo_cli.demo.effects import Effect
from dynamo_cli.demo.facility import Demo, every, running
from dynamo_cli.demo.processes import NodeFailed
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.faults import fault_rows, fault_screen
from dynamo_cli.render.plain import show
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import verb


def told(shell: Session, effect: Effect, words: Sequence[str]) -> int:
    """Have it done, and show each line as it comes."""
    demo = shell.facility(Demo)
    demo.cluster.look()
    try:
        for line in effect(demo, words):
            shell.env.write(f"{line}\n")
    except (NodeFailed, DemoFailed) as error:
        shell.env.write("".join(f"{show(line)}\n" for line in error.lines), error=True)
        raise
    return ExitStatus.OK


@verb(
    "kill", usage="NODE", summary="End a node at once, as a power cut would (kill -9).", needs=Demo,
    completes=running, danger=True,
)  # fmt: skip
def kill(shell: Session, words: Sequence[str]) -> int:
    """Then watch the others notice."""
    return told(shell, effects.kill, words)


@verb("restart", usage="NODE", summary="Start a node again, on the data it left.", needs=Demo, completes=every)
def restart(shell: Session, words: Sequence[str]) -> int:
    """A clean stop if it runs, then the same command again."""
    return told(shell, effects.restart, words)


@verb(
    "pause", usage="NODE", summary="Stop a node's process where it is (SIGSTOP): its sockets stay, it is silent.",
    needs=Demo, completes=running, danger=True,
)  # fmt: skip
def pause(shell: Session, words: Sequence[str]) -> int:
    """Then watch the others notice."""
    return told(shell, effects.pause, words)


def _paused(shell: Session, words: Sequence[str]) -> list[str]:
    return [node.name for node in shell.facility(Demo).cluster if node.paused] if not words else []


@verb("resume", usage="[NODE]", summary="Let paused nodes go on, or one of them.", needs=Demo, completes=_paused)
def resume(shell: Session, words: Sequence[str]) -> int:
    """And watch what they missed being handed over."""
    return told(shell, effects.resume, words)


@verb(
    "partition", usage="A,B… [/] [C,D…]", summary="Cut the network in two or more: n1,n2 / n3,n4,n5.", needs=Demo,
    completes=every, danger=True,
)  # fmt: skip
def partition(shell: Session, words: Sequence[str]) -> int:
    """Then watch each side call the others down."""
    return told(shell, effects.partition, words)


@verb("heal", summary="Make every link whole again: no cut, no delay, no loss.", needs=Demo)
def heal(shell: Session, words: Sequence[str]) -> int:
    """And watch hints being handed over, and what conflicts come to light."""
    return told(shell, effects.heal, words)


@verb(
    "slow", usage="NODE MS [--jitter MS]", needs=Demo, completes=every, danger=True,
    summary="Each message to and from a node so many milliseconds late; 0: no longer.",
)  # fmt: skip
def slow(shell: Session, words: Sequence[str]) -> int:
    """And say who waits for it."""
    return told(shell, effects.slow, words)


@verb(
    "drop", usage="A B PERCENT", summary="Lose so many of the messages between two nodes, or groups; 0: none.",
    needs=Demo, completes=every, danger=True,
)  # fmt: skip
def drop(shell: Session, words: Sequence[str]) -> int:
    """And say what the nodes do about it."""
    return told(shell, effects.drop, words)


@verb(
    "skew", usage="NODE SECONDS", summary="Set a node's clock so many seconds ahead (or -behind); 0: right again.",
    needs=Demo, completes=every, danger=True,
)  # fmt: skip
def skew(shell: Session, words: Sequence[str]) -> int:
    """And say what that does: next to nothing."""
    return told(shell, effects.skew, words)


@verb("reset", summary="Undo everything: links, clocks, disks, nodes that are paused or gone.", needs=Demo)
def reset(shell: Session, words: Sequence[str]) -> int:
    """As if nothing had been broken."""
    return told(shell, effects.reset, words)


@verb("faults", summary="What is broken now, node by node.", needs=Demo)
def list_faults(shell: Session, words: Sequence[str]) -> int:
    """As `fault list`, and the processes that are paused or gone."""
    demo = shell.facility(Demo)
    demo.cluster.look()
    Call(shell.env).emit(effects.listed(demo), View(lambda d, wide: fault_screen(effects.broken(demo, d)), fault_rows))
    for line in effects.mending(demo):
        shell.env.write(f"{line}\n")
    return ExitStatus.OK

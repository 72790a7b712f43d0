"""The verbs of a demo's shells: nodes that come and go, what they are, the tour; and those of `fault_verbs`."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli.call import Call
from dynamo_cli.demo import effects, fault_verbs
from dynamo_cli.demo.facility import Demo, every
from dynamo_cli.demo.showing import show_steps
from dynamo_cli.demo.tour import Tour
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import verb

__all__ = ["Demo", "fault_verbs"]


@verb("add", usage="[NODE]", summary="One node more: it takes over its part, and you see it do so.", needs=Demo)
def add(shell: Session, words: Sequence[str]) -> int:
    """One more process, until the ring has settled with it."""
    return show_steps(Call(shell.env), shell.facility(Demo).steps("add", words[0] if words else None))


@verb(
    "remove", usage="NODE", summary="One node less: it hands over what it holds, and ends.", needs=Demo,
    completes=every, danger=True,
)  # fmt: skip
def remove(shell: Session, words: Sequence[str]) -> int:
    """As `dyn cluster leave` does, and the process and its data go, too."""
    demo = shell.facility(Demo)
    demo.cluster.look()
    return show_steps(Call(shell.env), demo.steps("remove", demo.cluster.find(words[0]).name))


@verb("nodes", summary="The processes, their ports and their logs.", needs=Demo)
def nodes(shell: Session, words: Sequence[str]) -> int:
    """One line a process."""
    rows = [("NODE", "PID", "CLIENT", "PEER", "HTTP", "LOG")]
    demo = shell.facility(Demo)
    demo.cluster.look()
    for node in demo.cluster:
        place = node.place
        pid = str(node.pid) if node.pid is not None else "-"
        ports = (f":{place.port}", f":{place.peer_port}", f":{place.http_port}")
        rows.append((node.name, pid, *ports, str(node.log)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        shell.env.write("  ".join(cells).rstrip() + "\n")
    return ExitStatus.OK


@verb(
    "tour", usage="[CHAPTER|new]", summary="A guided tour of eight minutes; left before its end, it goes on there.",
    needs=Demo, completes="new",
)  # fmt: skip
def tour(shell: Session, words: Sequence[str]) -> int:
    """On the cluster as it is; a node that does not run is started first."""
    demo = shell.facility(Demo)
    demo.cluster.look()
    made = Tour(demo, shell.env)
    begin = chapter_of(made, words[0] if words else "")
    for node in demo.cluster:
        if node.paused:
            demo.order("resume", node.name)
        if node.ended:
            fault_verbs.restart(shell, [node.name])
    if demo.faults.marks:
        effects.give(demo, "heal")
    if begin:
        title = made.chapters[begin].title
        shell.env.write(f"chapter {begin + 1} of {len(made.chapters)}: {title}      from the first:  \\tour new\n")
    return made.run(begin)


def chapter_of(made: Tour, word: str) -> int:
    """Where to begin: at a chapter by its number, anew, or where the reader left. Raises a usage error."""
    if word == "new":
        return 0
    if not word:
        return made.place
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= len(made.chapters)):
        chapters = ", ".join(f"{number} {chapter.title}" for number, chapter in enumerate(made.chapters, 1))
        raise usage(f"no chapter {word!r}", f"There are {chapters}")
    return int(word) - 1

"""Prompt and toolbar as text: pure functions of what is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples

from dynamo_cli.render.plain import clock_text, show
from dynamo_cli.repl.watch import State
from dynamo_cli.store import Memory

STYLES = {"healthy": "ansigreen", "degraded": "ansiyellow", "critical": "ansired"}
CONTEXT_SHOWN_S = 3600
"""A context older than this is not worth a place in the toolbar."""
KEY_COLUMNS = 20
RIGHT_COLUMNS_MIN = 100
"""A narrower terminal needs its line for what is typed."""


def prompt(state: State, memory: Memory, marks: Sequence[str] = (), color: str = "") -> StyleAndTextTuples:
    """`dyn 4/5 CUT !1> `: cluster, nodes up, what verbs have done to it, keys with siblings that were seen.

    `color` is the saved context's, for the name.
    """
    document = state.document
    name = document["cluster"] if document else "dyn"
    style = STYLES.get(document["health"], "") if document else "ansired"
    counts = f" {state.up}/{state.total}" if document else " ?"
    conflicts = f" !{memory.conflicts}" if memory.conflicts else ""
    done = "".join(f" {mark}" for mark in marks if mark)
    return [
        (f"bold ansi{color}" if color else "bold", show(name)),
        (style, counts),
        ("ansired", done),
        ("ansiyellow", conflicts),
        ("", "> "),
    ]


def took(took_s: float | None, columns: int) -> StyleAndTextTuples:
    """How long the last line took, for the right end of the prompt; nothing where there is little room."""
    if took_s is None or columns < RIGHT_COLUMNS_MIN:
        return []
    return [("class:quiet", f"{took_s * 1000:.1f} ms" if took_s < 1 else f"{took_s:,.2f} s")]


def toolbar(state: State, memory: Memory, now_s: float, columns: int, modes: Collection[str] = ()) -> str:
    """Node, health, quorums, epoch, hints, siblings, the context that the next write of the last key would use, modes.

    Where it is too much for the width, what is least missed goes first.
    """
    document = state.document
    if document is None:
        return f" {state.words} "[:columns]
    parts = [  # how soon it goes, and what it says
        (5, show(document.get("answered_by") or "")),
        (9, show(document["health"])),
        (8, f"{state.up}/{state.total} up"),
        (2, f"N{document['n']} R{document['r']} W{document['w']}"),
        (4, f"epoch {document['epoch']}"),
        (6, f"hints {document['hints']}" if document.get("hints") else ""),
        (6, f"siblings {document['siblings']}" if document["siblings"] else ""),
        (3, _last_context(memory, now_s)),
        (7, " ".join(modes)),
        (1, "F2 x  F3 lines  F4 vi"),
    ]
    shown = [part for part in parts if part[1]]
    while len(shown) > 1 and len("  ".join(text for _, text in shown)) + 2 > columns:
        shown.remove(min(shown))
    return f" {'  '.join(text for _, text in shown)} "[:columns]


def _last_context(memory: Memory, now_s: float) -> str:
    keys = memory.keys()
    if not keys:
        return ""
    known = memory.recall(keys[-1])
    if known is None or now_s - known[1] > CONTEXT_SHOWN_S:
        return ""
    reading, read_at_s = known
    clock: dict[str, int] = {}
    for version in reading.versions:
        for name, n in (version.clock or {}).items():
            clock[name] = max(n, clock.get(name, 0))
    dots = f" {clock_text(dict(sorted(clock.items())))}".replace(", ", ",") if clock else ""
    return f"ctx {show(reading.key)[:KEY_COLUMNS]}{dots} {now_s - read_at_s:.0f} s"

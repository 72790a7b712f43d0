"""Prompt and toolbar as text: pure functions of what is known."""

from __future__ import annotations

from prompt_toolkit.formatted_text import StyleAndTextTuples

from dynamo_cli.render.plain import show
from dynamo_cli.repl.watch import State
from dynamo_cli.store import Memory

STYLES = {"healthy": "ansigreen", "degraded": "ansiyellow", "critical": "ansired"}
CONTEXT_SHOWN_S = 3600
"""A context older than this is not worth a place in the toolbar."""


def prompt(state: State, memory: Memory) -> StyleAndTextTuples:
    """`dyn 4/5 !1> `: cluster, nodes up, keys with siblings that were seen."""
    document = state.document
    name = document["cluster"] if document else "dyn"
    style = STYLES[document["health"]] if document else "ansired"
    counts = f" {state.up}/{state.total}" if document else " ?"
    conflicts = f" !{memory.conflicts}" if memory.conflicts else ""
    return [("bold", show(name)), (style, counts), ("ansiyellow", conflicts), ("", "> ")]


def toolbar(state: State, memory: Memory, now_s: float, columns: int) -> str:
    """Node, health, quorums, epoch, siblings, and the context that the next write of the last key would use."""
    document = state.document
    if document is None:
        return f" {state.words} "[:columns]
    parts = [
        f"{document['answered_by']}" if document.get("answered_by") else "",
        document["health"],
        f"{state.up}/{state.total} up",
        f"N{document['n']} R{document['r']} W{document['w']}",
        f"epoch {document['epoch']}",
        f"siblings {document['siblings']}" if document["siblings"] else "",
        _last_context(memory, now_s),
    ]
    return f" {'  '.join(part for part in parts if part)} "[:columns]


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
    dots = ",".join(f"{name}:{n}" for name, n in sorted(clock.items()))
    return f"ctx {show(reading.key)[:20]} {{{dots}}} {now_s - read_at_s:.0f} s"

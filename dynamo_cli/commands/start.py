"""`dyn` alone: where am I, and what can I type next."""

from __future__ import annotations

from dynamo_cli import store
from dynamo_cli.call import Call, Document
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import json_text, show

WAIT_S = 1.0
"""A first page does not wait for a node that does not answer."""

NEXT_WITHOUT_NODE = (
    ("dyn demo", "a five-node cluster on this machine, and a shell"),
    ("dyn node start", "one node, here, now"),
    ("dyn -n HOST:PORT", "look at a node elsewhere"),
    ("dyn context add NAME …", "save where nodes are, under a name"),
    ("dyn help environment", "how dyn knows where its nodes are"),
    ("dyn completion bash", "Tab for commands, options and keys"),
    ("dyn help", "all commands"),
)
NEXT_WITH_NODE = (
    ("dyn shell", "try things out, with Tab"),
    ("dyn put hello world", "write a key"),
    ("dyn get hello", "read it"),
    ("dyn cluster status", "nodes, health, views"),
    ("dyn ring show", "who owns what"),
    ("dyn help", "all commands"),
)
"""What to type next: the line, what it does."""


@command("", panel="Start here", exits=[])
def start(call: Call) -> ExitStatus:
    """Say where this is, and the next five commands."""
    call.options = call.options._replace(timeout_s=min(call.options.timeout_s, WAIT_S))
    status: Document | None = None
    why = ""
    try:
        status = store.document(call.client, "STATUS")
    except CliError as error:
        why = error.message
    steps = [(line, what) for line, what in (NEXT_WITHOUT_NODE if status is None else NEXT_WITH_NODE)]
    if call.format in ("json", "jsonl"):
        next_lines = [line for line, _ in steps[:5]]
        document = {"schema": "dyn.start/v1", "context": call.env.context_name, "status": status}
        call.env.write(json_text({**document, "why": why or None, "next": next_lines}))
        return ExitStatus.OK
    name = call.env.context_name
    head = where(call, status) if status is not None else f"{why}."
    lines = [f"context {show(name)}: {head}" if name else head, ""]
    lines += [f"  {line:<24}{what}" for line, what in steps[:5]]
    call.env.write("\n".join(lines) + "\n")
    return ExitStatus.OK


def where(call: Call, status: Document) -> str:
    """The cluster in one line."""
    nodes = status["nodes"]
    up = sum(node["state"] == "up" for node in nodes)
    health = status["health"]
    return (
        f"cluster {show(status['cluster'])} at {call.client.address}: {show(health)}, {up} of {len(nodes)} nodes up"
        f", epoch {status['epoch']}"
    )

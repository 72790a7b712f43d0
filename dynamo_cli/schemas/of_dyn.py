"""Documents about `dyn` itself: its settings, its help, its errors. (`notation` says how shapes are written.)"""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas.notation import Null, Told

EXAMPLE: Final = {"command": "text", "what": "text"}
SETTING: Final = {"name": "text", "value": "text?", "origin": "text", "meaning": "text"}

SCHEMAS: Final = {
    "dyn.version/v1": Told("The version of dyn, and of what it runs on.", {"version": "text", "python": "text"}),
    "dyn.help/v1": Told(
        "Commands: what each does, takes, and ends with.",
        {"commands": [
            {"command": "text", "summary": "text", "description": "text", "danger": "mild|moderate|severe?",
             "parameters": [
                 {"name": "text", "flags": ["text"], "metavar": "text?", "required": "bool", "repeats": "bool",
                  "help": "text"}
             ],
             "examples": [EXAMPLE], "exits": ["int"], "see": ["text"]}
        ]},
    ),
    "dyn.help.topic/v1": Told("A topic of the help.", {"topic": "text", "text": "text"}),
    "dyn.man/v1": Told("The manual page as roff, of one command or of all.", {"command": "text?", "roff": "text"}),
    "dyn.cheat/v1": Told("Examples to copy.", {"examples": [{"section": "text", **EXAMPLE}]}),
    "dyn.terms/v1": Told(
        "The concepts that are explained.", {"terms": [{"term": "text", "title": "text", "also": ["text"]}]}
    ),
    "dyn.term/v1": Told(
        "A concept, with the numbers of the cluster.",
        {"term": "text", "title": "text", "text": ["text"], "here": "text?", "why_not_here": "text?", "try": ["text"],
         "see": ["text"]},
    ),
    "dyn.contexts/v1": Told(
        "The saved contexts.",
        {"in_force": "text?", "contexts": [
            {"name": "text", "in_force": "bool", "nodes": ["text"], "tls": "bool", "password_file": "text?",
             "protected": "bool", "note": "text?", "problem": "text?"}
        ]},
    ),
    "dyn.context/v1": Told("What a saved context sets.", {"name": "text", "file": "text", "settings": [SETTING]}),
    "dyn.context.check/v1": Told(
        "Whether the nodes of a context answer.",
        {"name": "text", "nodes": [
            {"address": "text", "answers": "bool", "cluster": "text?", "took_ms": "number?", "why": "text?"}
        ]},
    ),
    "dyn.config/v1": Told("Every setting, and who says so.", {"settings": [{**SETTING, "can_be_set_in": ["text"]}]}),
    "dyn.config.setting/v1": Told("One setting, and who says so.", {**SETTING, "can_be_set_in": ["text"]}),
    "dyn.config.path/v1": Told(
        "Where configuration is read from.",
        {"config": "text", "contexts": "text", "context": "text?", "local": "text", "state": "text"},
    ),
    "dyn.aliases/v1": Told("The user's words for commands.", {"aliases": [{"name": "text", "command": "text"}]}),
    "dyn.completion/v1": Told(
        "Where a completion script was put.",
        {"shell": "bash|zsh|fish", "file": "text", "was": "absent|older|current", "written": "bool", "then": "text"},
    ),
    "dyn.schemas/v1": Told("The documents that there are.", {"schemas": [{"name": "text", "meaning": "text"}]}),
}  # fmt: skip
"""By the name that each document has in its field `schema`."""

ERROR: Final = Told(
    "How anything ends that fails, on standard error; it has no field schema, and the only field error.",
    {"error": {"code": "text", "exit": "int", "message": "text", "hint": "text?", "details?": Null({"*": "any"})}},
)

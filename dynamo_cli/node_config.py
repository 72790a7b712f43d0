"""What a node would run with, or runs with: its settings with who says so, as a dyn.node.config/v1 document.

Secrets are never among them: of one that came by the environment it is said that it did, of a file its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.runtime.config import NodeSettings

DEFAULT = "default"
SECRETS = ("key", "password")
FOREIGN = ("save", "appendonly")
"""Settings of Redis that CONFIG GET tells to its tools: a node has none of them."""
HIDDEN = "(set)"
FILES = ("key_file", "password_file", "tls_cert", "tls_key", "tls_ca")
DERIVED = {"peer-port": "default, port + 100", "http-port": "default, port + 200"}


def of_settings(settings: NodeSettings) -> dict[str, Any]:
    """Of what `dyn node start` would use."""
    shown: dict[str, object] = settings._asdict()
    origins = dict(settings.origins)
    del shown["origins"]
    shown |= {"nrw": "/".join(map(str, settings.nrw)), "join": ",".join(settings.join)}
    shown |= {secret: HIDDEN for secret in SECRETS if shown[secret] is not None}
    if settings.name is None:
        shown["name"] = f"n{settings.port}"
        origins["name"] = "default, unless the data directory knows another"
    if settings.partitions is None:
        origins["partitions"] = "the cluster's; 256 of a new one"
    return document(None, None, {name.replace("_", "-"): value for name, value in shown.items()}, origins)


def of_node(node: str, address: str, told: Mapping[str, str]) -> dict[str, Any]:
    """Of what a node answers to CONFIG GET *."""
    settings = dict(told)
    try:
        origins = json.loads(settings.pop("origins", ""))
    except ValueError:
        origins = None  # of a release that does not tell
    return document(node, address, settings, origins if isinstance(origins, dict) else None)


def document(
    node: str | None, address: str | None, settings: Mapping[str, object], origins: Mapping[str, object] | None
) -> dict[str, Any]:
    """The document; without `origins` nobody knows who set what."""
    rows = [
        {
            "name": name,
            "value": _text(value),
            "origin": None if origins is None else str(origins.get(name) or DERIVED.get(name, DEFAULT)),
        }
        for name, value in settings.items()
        if name not in FOREIGN and (name not in SECRETS or value is not None)
    ]
    return {"schema": "dyn.node.config/v1", "node": node, "address": address, "settings": rows}


def _text(value: object) -> str | None:
    """A value as it would be written in a file; None for none."""
    text = "" if value is None else str(value)
    return (text.lower() if text in ("True", "False") else text) or None


def unreadable(settings: NodeSettings) -> str:
    """Which file that is named cannot be read, and who names it; "" if all can. Opens none."""
    origins = dict(settings.origins)
    for field in FILES:
        path = getattr(settings, field)
        if path is not None and not os.access(path, os.R_OK):
            return f"{origins.get(field.replace('_', '-'), field)} names {path}, which cannot be read"
    return ""

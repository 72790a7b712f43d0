"""DYN.HOT and DYN.MONITOR: what the sampler of this node knows, for a client that may ask anything else, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from node.core.limits_watch import MONITORS_MAX
from node.wire.replies import ErrorReply, Value
from node.wire.watches import parse_hot, parse_monitor

if TYPE_CHECKING:
    from node.runtime.session import Session


def hot(session: Session, words: list[bytes]) -> Value:
    """DYN.HOT."""
    most = parse_hot(words)
    if isinstance(most, ErrorReply):
        return most
    facts = session.listener.facts
    return msgspec.json.encode({"schema": "dyn.hot/v1", "node": facts.name, **facts.measures.sampler.hot(most)})


def monitor(session: Session, words: list[bytes]) -> Value:
    """DYN.MONITOR."""
    order = parse_monitor(words)
    if isinstance(order, ErrorReply):
        return order
    facts = session.listener.facts
    told = facts.measures.listen(order, facts.wall_s())
    if told is None:
        return ErrorReply("BUSY", f"{MONITORS_MAX} listen already, which is as many as may")
    return msgspec.json.encode({"schema": "dyn.monitor/v1", "node": facts.name, **told})

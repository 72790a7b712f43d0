"""Who may become a member: one that speaks for itself, under a name that nobody has, and that was not one before."""

from __future__ import annotations

from node.core.ids import NodeId
from node.core.limits import MEMBERS_MAX
from node.engine.cluster import Cluster, address_of
from node.wire.messages import Join


def why_not(cluster: Cluster, peer: NodeId, message: Join) -> str | None:
    """Return why a node gets no seat, in a sentence that says what to do instead; None if nothing is against it."""
    joiner, me = message.member, cluster.me
    if not cluster.seated:
        return f"{me.name} has no seat itself yet"
    if joiner.id != peer:
        return "a node asks for itself only"
    known = cluster.members.get(joiner.id)
    if joiner.id in cluster.state.gone:
        return f"{joiner.name} left this cluster, or was removed from it: start it with an empty --data-dir"
    if known is None and message.old_seat:
        return f"no member has the id {joiner.id} that --seat names: dyn ring show -o json has the members' ids"
    if known is None and len(cluster.members) >= MEMBERS_MAX:
        return f"the cluster has {MEMBERS_MAX} members, its limit"
    namesake = next((m for m in cluster.others() if m.name == joiner.name and m.id != joiner.id), None)
    if namesake is None and joiner.name == me.name:
        namesake = me
    if namesake is not None:
        taken = f"the name {joiner.name} is taken by the node at {address_of(namesake)}: start with another --name"
        if namesake.id == me.id or cluster.is_up(namesake.id):
            return taken
        return f"{taken}; or, if its data is lost for good, take its seat with --seat {namesake.id}"
    return None

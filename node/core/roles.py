"""Who the holder of a certificate is: one URI among its subject alternative names (RFC 5280, section 4.2.1.6).

    dyn://carts/node       a node of the cluster carts: to its peers, and to its clients
    dyn://carts/client     a client of that cluster

That a certificate is of the right CA, and valid now, is TLS' to see. Host names are nobody's: nodes move, and are
reached under many names; what counts is to which cluster, and as what, somebody belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

NODE: Final = "node"
CLIENT: Final = "client"

SCHEME: Final = "dyn://"


class Holder(NamedTuple):
    """What a certificate says of who shows it."""

    cluster: str
    role: str


def uri_of(cluster: str, role: str) -> str:
    """The URI that a certificate of this role carries."""
    return f"{SCHEME}{cluster}/{role}"


def holders_of(certificate: Mapping[str, object]) -> list[Holder]:
    """What a verified certificate says, as `ssl.SSLSocket.getpeercert` gives it; [] if it names no role of ours."""
    names = certificate.get("subjectAltName", ())
    found = []
    if isinstance(names, tuple):
        for name in names:
            if isinstance(name, tuple) and len(name) == 2 and name[0] == "URI" and str(name[1]).startswith(SCHEME):
                cluster, slash, role = str(name[1])[len(SCHEME) :].partition("/")
                if slash and cluster and role:
                    found.append(Holder(cluster, role))
    return found


def fault_of(certificate: Mapping[str, object], roles: tuple[str, ...], cluster: str | None) -> str:
    """What is wrong with a verified certificate for one of these roles in `cluster` (None: in any), after "its
    certificate"; "" if nothing is."""
    holders = holders_of(certificate)
    if any(role in roles and cluster in (None, name) for name, role in holders):
        return ""
    if not holders:
        return f"names no role: {uri_of(cluster or 'CLUSTER', roles[0])} is wanted"
    name, role = holders[0]
    if cluster not in (None, name):
        return f"is of the cluster {name}"
    return f"is that of a {role}"

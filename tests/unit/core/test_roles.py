"""What a certificate says of its holder."""

from __future__ import annotations

from typing import Any

import pytest

from node.core.roles import CLIENT, NODE, Holder, fault_of, holders_of, uri_of


def certificate(*uris: str, **more: Any) -> dict[str, Any]:
    names = (("DNS", "dyn://c/node"), *(("URI", uri) for uri in uris), ("IP Address", "127.0.0.1"))
    return {"subject": ((("commonName", "dyn://c/node"),),), "subjectAltName": names, **more}


@pytest.mark.parametrize(
    ("uris", "roles", "cluster", "fault"),
    [
        (["dyn://c/node"], (NODE,), "c", ""),
        (["dyn://c/node"], (NODE,), None, ""),
        (["dyn://c/client"], (CLIENT, NODE), "c", ""),
        (["https://example.org", "dyn://d/node", "dyn://c/node"], (NODE,), "c", ""),
        (["dyn://c/client"], (NODE,), "c", "is that of a client"),
        (["dyn://d/node"], (NODE,), "c", "is of the cluster d"),
        (["dyn://d/node", "dyn://c/client"], (NODE,), "c", "is of the cluster d"),
        (["dyn://C/node"], (NODE,), "c", "is of the cluster C"),
        (["dyn://c/node/x"], (NODE,), "c", "is that of a node/x"),
        ([], (NODE,), "c", "names no role: dyn://c/node is wanted"),
        (["dyn://c/"], (NODE,), None, "names no role: dyn://CLUSTER/node is wanted"),
        (["dyn:///node"], (NODE,), "c", "names no role: dyn://c/node is wanted"),
        (["xdyn://c/node"], (NODE,), "c", "names no role: dyn://c/node is wanted"),
    ],
)
def test_one_uri_of_cluster_and_role_is_wanted(
    uris: list[str], roles: tuple[str, ...], cluster: str | None, fault: str
) -> None:
    """Nothing else counts: neither the common name nor a name of another kind that says so."""
    assert fault_of(certificate(*uris), roles, cluster) == fault


@pytest.mark.parametrize("shown", [{}, {"subjectAltName": None}, {"subjectAltName": (("URI",), "URI", 7)}])
def test_what_is_no_certificate_names_nobody(shown: dict[str, Any]) -> None:
    assert holders_of(shown) == []
    assert fault_of(shown, (NODE,), "c")


def test_a_uri_is_read_as_it_is_written() -> None:
    assert holders_of(certificate(uri_of("carts", CLIENT))) == [Holder("carts", "client")]

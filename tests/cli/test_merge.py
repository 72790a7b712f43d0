"""`dyn merge`: what it writes, over which context, and what it refuses."""

from __future__ import annotations

import pytest

from dynamo_cli.merging import CannotUnite, settle_hint, union
from tests.helpers.cli import dyn
from tests.helpers.fake_node import RECEIPT, FakeNode, fake_node, reading, version

CARTS = reading(version(b'["milk","eggs"]', {"n3": 2}), version(b'["milk","beer"]', {"n3": 1, "n4": 1}))


def written(node: FakeNode) -> tuple[bytes, bytes] | None:
    """Context and value of the one write that the node was asked for."""
    puts = [(asked[2], asked[3]) for asked in node.asked if asked[0] == b"DYN.PUT"]
    return puts[0] if puts else None


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (("--take", "A"), b'["milk","eggs"]'),
        (("--take", "b"), b'["milk","beer"]'),
        (("--union",), b'["milk","eggs","beer"]'),
        (("--value", "x"), b"x"),
        (("--value", "-"), b"from stdin"),
    ],
)
def test_merge_writes_over_all_that_it_read(argv: tuple[str, ...], value: bytes) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", *argv, node=node, stdin=b"from stdin").status == 0
        assert written(node) == (b"c0ntext", value)


@pytest.mark.parametrize(("argv", "status"), [(("--take", "C"), 2), (("--take", "A", "--value", "x"), 2), ((), 4)])
def test_merge_refuses(argv: tuple[str, ...], status: int) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", *argv, node=node).status == status
        assert written(node) is None


def test_merge_of_one_value_has_nothing_to_do() -> None:
    with fake_node(DYN_GET=reading(version(b"x", {"n1": 1})), DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", "--union", node=node).status == 0
        assert written(node) is None


def test_merge_of_nothing_is_not_found() -> None:
    with fake_node(DYN_GET=reading()) as node:
        assert dyn("merge", "k", "--union", node=node).status == 3


@pytest.mark.parametrize(
    ("values", "united"),
    [
        ([b"[1,2]", b"[2,3]", b"[1]"], b"[1,2,3]"),
        ([b'[{"a":1,"b":2}]', b'[{"b":2,"a":1}]'], b'[{"a":1,"b":2}]'),
        ([b'{"a":1}', b'{"b":[]}'], b'{"a":1,"b":[]}'),
        ([b'{"a":1}', b'{"a":1}'], b'{"a":1}'),
        ([b'["\xc3\xbc"]', b"[]"], b'["\xc3\xbc"]'),
    ],
)
def test_union(values: list[bytes], united: bytes) -> None:
    assert union(values) == united


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([b"milk", b"beer"], "A is no JSON"),
        ([b"[]", b"\xff"], "B is no JSON"),
        ([b"[]", b"{}"], "not all JSON arrays"),
        ([b"1", b"2"], "not all JSON arrays"),
        ([b'{"a":1}', b'{"a":2}'], "differ in 'a'"),
    ],
)
def test_what_has_no_union(values: list[bytes], why: str) -> None:
    with pytest.raises(CannotUnite, match=why):
        union(values)
    with fake_node(DYN_GET=reading(*(version(v, {f"n{i}": 1}) for i, v in enumerate(values))), DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", "--union", node=node).status == 4
        assert written(node) is None


def test_the_hint_offers_a_union_only_where_there_is_one() -> None:
    assert settle_hint(b"k", [b"[1]", b"[2]"]) == "settle it:  dyn merge k --take A  ·  --union  ·  --value V"
    assert settle_hint(b"a b", [b"milk", b"beer"]) == "settle it:  dyn merge 'a b' --take A  ·  --value V"

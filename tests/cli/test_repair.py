"""`dyn cluster repair` and `dyn key repair`: how long they stay, and what their exit code says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.cli import dyn
from tests.helpers.documents import key_repair, pass_document
from tests.helpers.fake_node import fake_node


def test_cluster_repair_stays_until_the_pass_is_over() -> None:
    answers = iter([pass_document(running=True), pass_document(running=True), pass_document()])
    with fake_node(DYN_REPAIR=lambda: next(answers)) as node:
        result = dyn("cluster", "repair", "--json", node=node)
    assert (result.status, json.loads(result.out)["running"]) == (0, False)
    with fake_node(DYN_REPAIR=pass_document(running=True)) as node:
        result = dyn("cluster", "repair", "--no-wait", "--json", node=node)
    assert json.loads(result.out)["running"]


def test_cluster_repair_check_exits_by_what_was_left() -> None:
    clean: dict[str, Any] = {"left_out": [], "failed": 0}
    away = [{"node": "n2", "because": "down"}]
    for more, code in (clean, 0), (clean | {"failed": 1}, 8), (clean | {"left_out": away}, 8):
        with fake_node(DYN_REPAIR=pass_document(**more)) as node:
            assert dyn("cluster", "repair", "--check", node=node).status == code
            assert dyn("cluster", "repair", node=node).status == 0


@pytest.mark.parametrize(
    ("found", "code"),
    [(("same", "behind"), 0), (("nothing", "nothing"), 3), ((None, None), 6), (("nothing", "behind"), 0)],
)
def test_key_repair_exits_by_what_it_found(found: tuple[str | None, ...], code: int) -> None:
    with fake_node(DYN_REPAIR=key_repair("k", *found)) as node:
        assert dyn("key", "repair", "k", node=node).status == code

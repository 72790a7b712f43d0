"""The saved context of a demo: there while it runs, gone with it, and never in the place of somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo_cli import contexts
from dynamo_cli.demo.saved import NOTE, saved_context
from tests.helpers.cli import dyn
from tests.helpers.fake_node import fake_node, reading, version


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "DYN_NODES": ""}


def test_it_leads_to_the_demo_while_that_runs(environ: dict[str, str]) -> None:
    with fake_node(DYN_GET=reading(version(b"milk", {"n1": 1}))) as node:
        with saved_context(environ, "demo", [node.address]) as there:
            assert there
            assert dyn("get", "k", "-c", "demo", environ=environ).out == "milk\n"
            assert dyn("context", "use", "demo", environ=environ).status == 0
        assert dyn("get", "k", "-c", "demo", environ=environ).status == 3
        assert dyn("get", "k", environ=environ).status == 5, "who used it uses none"


def test_it_goes_also_if_the_demo_fails(environ: dict[str, str]) -> None:
    with pytest.raises(KeyError), saved_context(environ, "demo", [":1"]):
        raise KeyError
    assert contexts.names(environ) == []


def test_another_ones_context_is_left_alone(environ: dict[str, str]) -> None:
    contexts.save(environ, "demo", {"nodes": ["mine:1"]})
    with saved_context(environ, "demo", [":1"]) as there:
        assert not there
    assert contexts.read(environ, "demo") == {"nodes": ["mine:1"]}


def test_what_a_killed_demo_left_is_written_over(environ: dict[str, str]) -> None:
    contexts.save(environ, "demo", {"nodes": [":1"], "note": NOTE})
    with saved_context(environ, "demo", [":2"]) as there:
        assert there
        assert contexts.read(environ, "demo")["nodes"] == [":2"]
        contexts.save(environ, "demo", {"nodes": ["mine:1"]})
    assert contexts.read(environ, "demo") == {"nodes": ["mine:1"]}, "edited meanwhile, it is the user's"


@pytest.mark.parametrize("name", ["", "a/b", "none", "ü"])
def test_a_demo_runs_without_one(environ: dict[str, str], name: str) -> None:
    with saved_context(environ, name, [":1"]) as there:
        assert not there
    with saved_context({**environ, "DYN_CONFIG_DIR": "/dev/null/x"}, "demo", [":1"]) as there:
        assert not there

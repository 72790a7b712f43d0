"""Contexts within a shell: a line may name one, and speaks to its nodes with its password, and no other's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo_cli import contexts
from dynamo_cli.options import Options
from dynamo_cli.repl.session import Session, ShellEnvironment
from tests.helpers.cli import environment
from tests.helpers.fake_node import fake_node, reading, version

ONE = reading(version(b"milk", {"n1": 1}))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "DYN_NODES": ""}


def save(environ: dict[str, str], name: str, address: str) -> None:
    """Save a context whose password is its name."""
    word = Path(environ["HOME"]) / name
    word.write_text(f"{name}\n")
    contexts.save(environ, name, {"nodes": [address], "password-file": str(word)})


def test_a_line_may_name_a_context(environ: dict[str, str]) -> None:
    with fake_node(DYN_GET=ONE, AUTH=b"OK") as first, fake_node(DYN_GET=ONE, AUTH=b"OK") as second:
        save(environ, "two", second.address)
        made, out, _ = environment(environ=environ)
        shell = ShellEnvironment(made, Options(nodes=(first.address,)))
        session = Session(shell)
        assert [session.run(line) for line in ("get k", "get -c two k", "get k")] == [0, 0, 0]
        assert (len(first.asked), len(second.asked)) == (2, 1)
        assert not any(words[0] == b"AUTH" for words in first.introductions)
        assert second.introductions[0] == (b"AUTH", b"two")
        shell.hang_up()
    assert out.getvalue() == b"milk\n" * 3


def test_two_contexts_of_one_node_have_a_connection_each(environ: dict[str, str]) -> None:
    with fake_node(DYN_GET=ONE, AUTH=b"OK") as node:
        for name in ("ada", "bob"):
            save(environ, name, node.address)
        shell = ShellEnvironment(environment(environ=environ)[0], Options())
        session = Session(shell)
        assert [session.run(line) for line in ("get -c ada k", "get -c bob k", "get -c ada k")] == [0, 0, 0]
        shell.hang_up()
        words = [words[1] for words in node.introductions if words[0] == b"AUTH"]
        assert words == [b"ada", b"bob"]

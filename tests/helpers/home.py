"""A home directory of its own, and `dyn` in it, for tests of what is configured there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cli import Result, dyn


class Home:
    """A home directory of a test, and `dyn` in it; DYN_NODES is not set there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {"HOME": str(path), "DYN_NODES": ""}
        self.config = path / ".config" / "dyn"

    def dyn(self, *argv: str, stdin: bytes = b"", terminal: bool = False, **environ: str) -> Result:
        return dyn(*argv, stdin=stdin, terminal=terminal, environ={**self.environ, **environ})

    def saved(self, name: str) -> str:
        return (self.config / "contexts" / f"{name}.toml").read_text()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return Home(tmp_path)

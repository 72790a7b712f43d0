"""The pictures of the README, taken of a real cluster: `python -m tests.helpers.screens` makes them anew.

Five node processes are started and two people use them, each in a shell on another node. What they type is run, and
what they see is drawn, colours and all, as SVG (rich) into tests/recorded. Nothing is made up; so times differ from one
run to the next.
"""

from __future__ import annotations

import inspect
import io
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from dynamo_cli.options import Options
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.toolbar import prompt
from dynamo_cli.repl.watch import State
from tests.helpers.cli import Terminal
from tests.helpers.cluster import Cluster, eventually

FOLDER = Path(__file__).parents[1] / "recorded"
COLUMNS = 84
KEY = "cart:1042"

THEME = TerminalTheme(
    (22, 27, 34), (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (177, 186, 196)],
    [(139, 148, 158), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255),
     (86, 212, 221), (255, 255, 255)],
)  # fmt: skip
"""A dark terminal that reads well on a white page and on a black one."""

STYLES = {"bold": "bold", "ansigreen": "green", "ansiyellow": "yellow", "ansired": "red", "": ""}
"""Those of the prompt, in rich's words."""


class Person(NamedTuple):
    """Somebody at a shell on one node."""

    name: str
    session: Session
    env: ShellEnvironment


class Film:
    """What is seen of a cluster: lines that are typed, and what they show."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._cluster = cluster
        self._home = home
        self._seen = Text()

    def person(self, name: str, node: int) -> Person:
        """Somebody who uses a node, by its number from 0."""
        from dynamo_cli.environment import Environment

        sink = io.BytesIO()
        environ = {
            "HOME": str(self._home), "USER": name, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LANG": "C.UTF-8",
            "DYN_COLOR": "always", "DYN_OUTPUT": "table", "DYN_WRITER": name,
            "DYN_NODES": f"127.0.0.1:{self._cluster[node].port}",
        }  # fmt: skip
        stream = Terminal(sink, encoding="utf-8", write_through=True)
        outer = Environment(
            stdin=Terminal(io.BytesIO(b"y\n"), encoding="utf-8"), stdout=stream, stderr=stream, environ=environ
        )
        env = ShellEnvironment(outer, Options())
        return Person(name, Session(env), env)

    def says(self, words: str) -> None:
        """A remark between lines."""
        self._seen.append(f"# {words}\n", style="bright_black")

    def types(self, who: Person, line: str) -> str:
        """A line in somebody's shell, with its prompt, and what comes of it."""
        document = self._cluster[0].document("STATUS")
        self._seen.append(f"{who.name}@", style="bright_black")
        for style, text, *_ in prompt(State(document, ""), who.env.contexts):
            self._seen.append(text, style=STYLES.get(style, ""))
        self._seen.append(f"{line}\n", style="bold")
        sink = who.env.stdout.buffer
        assert isinstance(sink, io.BytesIO), "it writes into memory"
        before = len(sink.getvalue())
        who.session.run(line)
        told = sink.getvalue()[before:].decode()
        self._seen.append_text(Text.from_ansi(told.rstrip("\n")))
        self._seen.append("\n\n")
        return told

    def picture(self, title: str) -> str:
        """Everything so far as SVG; what follows is another one."""
        console = Console(
            record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard",
            legacy_windows=False,
        )  # fmt: skip
        self._seen.rstrip()
        console.print(self._seen, highlight=False, soft_wrap=False)
        self._seen = Text()
        # The fonts that rich would fetch from elsewhere are left out: a page that is read asks nobody.
        form = inspect.signature(console.export_svg).parameters["code_format"].default
        frame = re.sub(r"@font-face \{\{.*?\}\}\s*", "", form, flags=re.DOTALL)
        frame = frame.replace("Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace")
        return console.export_svg(title=title, theme=THEME, code_format=frame, unique_id=title.partition(":")[0])


def conflict(film: Film) -> str:
    """Two writers who did not see each other, and how that is settled."""
    ada, eve = film.person("ada", 0), film.person("eve", 3)
    film.types(ada, f"put {KEY} '[\"milk\"]'")
    for who in (ada, eve):
        film.types(who, f"get {KEY}")
    film.says("both have read the same, and both write over it")
    film.types(ada, f'put {KEY} \'["milk","eggs"]\'')
    film.types(eve, f'put {KEY} \'["milk","beer"]\'')
    seen = film.types(ada, f"get {KEY}")
    assert "2 siblings" in seen, seen
    film.types(ada, f"merge {KEY} --union -y")
    film.types(eve, f"get {KEY}")
    return film.picture("conflict: two writers who did not see each other")


def ring(film: Film, cluster: Cluster) -> str:
    """Who owns what, where a key lives, and what a node that is away leaves waiting."""
    ada = film.person("ada", 0)
    film.types(ada, "ring show")
    film.types(ada, f"key explain {KEY}")
    owner = next(
        node for node in cluster.nodes[1:] if node.name in cluster[0].document("EXPLAIN", KEY)["preference"][:3]
    )
    owner.kill()

    def is_seen_down() -> bool:
        states = {node["name"]: node["state"] for node in cluster[0].document("STATUS")["nodes"]}
        return bool(states[owner.name] == "down")

    eventually(is_seen_down, f"{owner.name} to be down")
    film.says(f"{owner.name} is killed")
    film.types(ada, f"put {KEY} '[]'")
    film.types(ada, "cluster hints")
    return film.picture("ring: who owns what")


def main() -> int:
    """Take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, Cluster(5, Path(home), "--cluster", "carts") as cluster:
        film = Film(cluster, Path(home))
        for name, svg in (("conflict", conflict(film)), ("ring", ring(film, cluster))):
            (FOLDER / f"{name}.svg").write_text(svg)
            sys.stdout.write(f"tests/recorded/{name}.svg\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

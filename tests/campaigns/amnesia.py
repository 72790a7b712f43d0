"""Nodes that lose everything they held: refused under their name, replaced, and fenced when they return.

    python -m tests.campaigns.amnesia [--rounds 12] [--keys 2000] [--seed 1]

Three nodes, N=3 R=2 W=2, real processes. A round:

    keys are written and deleted ── one node dies, and its data is taken away
      ── it is started again, empty, under its old name: that must be refused, by a reason that says what to do
      ── a new node takes its place (--replace): it must come to hold every key, and each key is read from it and one
         other owner alone (STRICT), as it was acknowledged
      ── the old data is put back, and the old node started with it: it must learn that it is a member no more, end by
         itself, and bring nothing back that was deleted meanwhile

Exit 1 if a key is lost or comes back, a wiped node is taken for a member, or an old one is not fenced.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.campaigns.jepsen import carry_out, tell
from tests.helpers.cluster import Cluster, Node, eventually

NODES: Final = 3
DELETED: Final = 0.2
"""Of the keys that there are: so many are deleted in a round, before it, while a node is away, or after."""

FENCED_S: Final = 60.0
"""Within which an old node has to learn that it is gone. (It lingers a while, for what it may have to hand over.)"""


class Round(NamedTuple):
    """What came of one: who lost its data, who took its place, and what was not as it should be."""

    lost: str
    newcomer: str
    keys: int
    refused: bool
    replaced_s: float
    missing: int
    back: int
    fenced: bool

    @property
    def good(self) -> bool:
        """Whether nothing was lost, nothing came back, and nobody was taken for who he is not."""
        return self.refused and self.fenced and not self.missing and not self.back


class Amnesia:
    """One cluster, and what was acknowledged: `values`, None for what was deleted."""

    def __init__(self, cluster: Cluster, keys: int, seed: int) -> None:
        self.cluster = cluster
        self.rng = Random(f"amnesia/{seed}")
        self.keys = keys
        self.members = cluster.nodes[:NODES]
        self.values: dict[bytes, bytes | None] = {}

    def start(self) -> None:
        """The first nodes, which see each other."""
        for node in self.members:
            node.start()
        for node in self.members:
            node.ready()
        self.cluster.settle()

    def round(self, number: int) -> Round:
        """Lose one of them."""
        victim, newcomer = self.rng.choice(self.members), self.cluster.nodes[NODES + number]
        others = [node for node in self.members if node is not victim]
        self._write(number, self.members)
        victim.kill()
        old = victim.folder / "old"
        shutil.move(_data(victim), old)
        self._delete(others)
        eventually(lambda: _sees(others[0], victim) == "down", f"{victim.name} to be missed")
        refused = self._is_refused(victim, others)
        began = time.monotonic()
        newcomer.start("--replace", victim.name, *_seeds(others)).ready()
        replaced_s = time.monotonic() - began
        self.members = [*others, newcomer]
        missing = self._wrong(newcomer)
        self._delete(self.members)
        shutil.move(old, _data(victim))
        victim.start(*_seeds(others))
        fenced = _ends_as_gone(victim)
        back = self._wrong(newcomer)
        fenced = fenced and sorted(m["name"] for m in newcomer.document("RING")["members"]) == sorted(
            node.name for node in self.members
        )
        return Round(victim.name, newcomer.name, len(self.values), refused, replaced_s, missing, back, fenced)

    def _write(self, number: int, nodes: list[Node]) -> None:
        with self.rng.choice(nodes).connect() as client:
            for key in (b"key:%d" % self.rng.randrange(10 * self.keys) for _ in range(self.keys)):
                value = b"%d of round %d" % (len(self.values), number)
                self.values[key] = value
                assert client("SET", key, value) == b"OK"

    def _delete(self, nodes: list[Node]) -> None:
        live = sorted(key for key, value in self.values.items() if value is not None)
        with self.rng.choice(nodes).connect() as client:
            for key in self.rng.sample(live, round(DELETED / 2 * len(live))):
                client("DEL", key)
                self.values[key] = None

    def _is_refused(self, victim: Node, others: list[Node]) -> bool:
        """Whether it gets no place under its old name with an empty store, and is told how it would."""
        said = len(victim.log)
        victim.start(*_seeds(others))
        wanted = re.compile(rf"the name {victim.name} is taken .* take its seat with --seat [0-9a-f]{{32}}")
        refused = bool(eventually(lambda: wanted.search(victim.log, said), f"{victim.name} to be refused"))
        refused = refused and not victim.ready_line
        victim.stop()
        shutil.rmtree(_data(victim), ignore_errors=True)
        return refused

    def _wrong(self, newcomer: Node) -> int:
        """How many keys are not what was acknowledged, as the newcomer and one other owner have it."""
        wrong = 0
        with newcomer.connect(30.0) as client:
            for key, value in self.values.items():
                wrong += client("DYN.GET", key, "STRICT")[1] != ([] if value is None else [value])
        held: int = next(node["keys"] for node in newcomer.document("STATUS")["nodes"] if node["name"] == newcomer.name)
        live = sum(value is not None for value in self.values.values())
        return wrong + max(0, live - held)


def _data(node: Node) -> Path:
    return node.folder / ".local" / "share" / "dyn"


def _seeds(nodes: list[Node]) -> list[str]:
    return [word for node in nodes for word in ("--join", f"127.0.0.1:{node.peer_port}")]


def _sees(node: Node, other: Node) -> str:
    seen: str = node.document("VIEWS")["views"][0]["sees"][other.name]
    return seen


def _ends_as_gone(node: Node) -> bool:
    """Whether a node that was replaced learns so, and ends."""
    try:
        code = node.wait(FENCED_S)
    except AssertionError:
        node.kill()
        return False
    return code == 1 and "this node is no member any more" in node.log


def campaign(rounds: int, keys: int, seed: int, folder: Path, say: Callable[[str], object]) -> list[Round]:
    """So many rounds on one cluster."""
    found = []
    with Cluster(NODES + rounds, folder, start=False) as cluster:
        amnesia = Amnesia(cluster, keys, seed)
        amnesia.start()
        for number in range(rounds):
            found.append(amnesia.round(number))
            say(f"round {number + 1} of {rounds}: {found[-1]}")
    return found


def table(found: list[Round]) -> str:
    """The table of RESULTS.md."""
    lines = [
        "| rounds | keys at the end | refused empty | replaced, s (most) | keys lost | came back | fenced |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {len(found)} | {found[-1].keys:,} | {sum(r.refused for r in found)} |"
        f" {max(r.replaced_s for r in found):.1f} | {sum(r.missing for r in found)} |"
        f" {sum(r.back for r in found)} | {sum(r.fenced for r in found)} |",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run it and print the table; 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--keys", type=int, default=2000, help="written in each round")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    def run() -> tuple[str, bool]:
        with tempfile.TemporaryDirectory(prefix="dyn-amnesia-") as folder:
            found = campaign(given.rounds, given.keys, given.seed, Path(folder), tell)
        return table(found), all(each.good for each in found)

    return carry_out("", run)


if __name__ == "__main__":
    sys.exit(main())

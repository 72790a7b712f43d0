"""`dyn ring export`: a picture, a graph and a table that say what the ring says, whatever its nodes are called."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dynamo_cli.render.export import colors_of, dot, markdown, svg
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, ring
from tests.helpers.fake_node import fake_node

TAG = "{http://www.w3.org/2000/svg}"
SPAN = re.compile(r"partitions? (\d+)(?: to (\d+))?: (.+)")


def bands(text: str) -> list[list[str]]:
    """Who owns each partition by the arcs of the picture: a list a ring, the outermost first."""
    drawn = []
    for group in ElementTree.fromstring(text).iter(f"{TAG}g"):  # our own
        owners: list[str] = []
        for path in group:
            title = path.find(f"{TAG}title")
            assert title is not None
            found = SPAN.fullmatch(title.text or "")
            assert found, title.text
            first, last, name = found.groups()
            assert int(first) == len(owners), "one arc after the other"
            owners += [name] * (int(last or first) - int(first) + 1)
        drawn.append(owners)
    return drawn


@pytest.mark.parametrize(("nodes", "partitions", "n"), [(5, 256, 3), (3, 8, 3), (2, 8, 3), (1, 16, 3), (64, 1024, 3)])
def test_the_picture_shows_every_owner_of_every_partition(nodes: int, partitions: int, n: int) -> None:
    document = ring(nodes, partitions, n)
    drawn = bands(svg(document))
    assert len(drawn) == n
    for place, owners in enumerate(drawn):
        told = [preference[place] for preference in document["preference"] if place < len(preference)]
        assert owners == told


@pytest.mark.parametrize(("nodes", "named", "left"), [(17, 17, 0), (18, 18, 0), (64, 64, 0), (120, 80, 40)])
def test_the_legend_names_as_many_as_it_has_room_for(nodes: int, named: int, left: int) -> None:
    texts = [element.text or "" for element in ElementTree.fromstring(svg(ring(nodes, 256))).iter(f"{TAG}text")]
    assert [text for text in texts if re.fullmatch(r"n\d+", text)] == [f"n{i}" for i in range(1, named + 1)]
    assert [text for text in texts if text.endswith(" more")] == ([f"and {left} more"] if left else [])


def test_no_two_nodes_have_one_colour() -> None:
    for count in (1, 8, 9, 64, 256):
        colors = colors_of([f"n{i}" for i in range(count)])
        assert len(set(colors.values())) == count
        assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors.values())


def evil(nodes: int) -> dict[str, Any]:
    """A ring whose first node has a name, a zone and an address that are markup everywhere."""
    name = f'<script>"&|\\{EVIL}'
    text = json.dumps(ring(nodes, 8)).replace('"n1"', json.dumps(name))
    document: dict[str, Any] = json.loads(text)
    document["members"][0] |= {"zone": name, "address": name}
    return document


def test_names_are_never_markup() -> None:
    document = evil(3)
    tree = ElementTree.fromstring(svg(document))
    assert not [element for element in tree.iter() if element.tag.endswith("script")]
    assert any((element.text or "").startswith("<script>") for element in tree.iter(f"{TAG}text"))
    (row,) = [line for line in markdown(document).splitlines() if "script" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 8, "eight bars make seven cells"
    assert '"<script>\\"&|\\\\' in dot(document)
    for written in (svg(document), dot(document), markdown(document)):
        assert all(char.isprintable() or char == "\n" for char in written)


def test_the_graph_counts_what_nodes_own_together() -> None:
    document = ring(4, 8)
    edges = re.findall(r'"(n\d)" -- "(n\d)" \[label="(\d+)"\]', dot(document))
    for a, b, count in edges:
        assert int(count) == sum({a, b} <= set(nodes[:3]) for nodes in document["preference"])
    assert len(edges) == 6


def test_the_table_has_a_row_a_node() -> None:
    lines = markdown(ring(3, 256)).splitlines()
    assert lines[0] == "Ring epoch 7: 256 partitions, N=3 R=2 W=2."
    assert lines[4] == "| n1 | 127.7.7.7:7701 | - | 1 | 86 | 33.6% | 256 |"
    assert len(lines) == 7


def test_it_is_written_where_one_says_or_printed(tmp_path: Path) -> None:
    with fake_node(DYN_RING=ring(3, 64)) as node:
        file = tmp_path / "ring.svg"
        assert dyn("ring", "export", "--file", str(file), node=node).status == 0
        assert dyn("ring", "export", node=node).out == file.read_text()
        assert json.loads(dyn("ring", "export", "--format", "json", node=node).out) == ring(3, 64)
        assert dyn("ring", "export", "--format", "png", node=node).status == 2
        lost = dyn("ring", "export", "--file", str(tmp_path / "no" / "ring.svg"), node=node)
        assert lost.status == 1
        assert "No such file or directory" in lost.err

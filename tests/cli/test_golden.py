"""Every screen as it is kept in tests/cli/golden: current, within its width, and as clear without colour as with it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

from tests.helpers.golden import FOLDER, LOOKS, SCREENS, Look, page, shown

RECORDED = Path(__file__).parents[1] / "recorded"

SGR = re.compile(r"\x1b\[([0-9;]*)m")

PALETTE = {0, 1, 31, 32, 33, 34, 35, 36, 39, 90, 91, 92, 93, 94, 95, 96}
"""What a screen may use: bold, and those of the terminal's own 16 colours that are seen on a dark and on a light one.

Black and white (30, 37, 97) are not, and colours with numbers of their own (38;…) do not follow the user's theme.
"""


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_as_it_was(name: str) -> None:
    assert (FOLDER / f"{name}.txt").read_text() == page(name), "python -m tests.helpers.golden draws it anew"


def test_there_is_no_file_of_a_screen_that_is_no_more() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(SCREENS)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.title)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_keeps_to_its_width_its_characters_and_its_colours(name: str, look: Look) -> None:
    text = shown(SCREENS[name], look)
    bare = SGR.sub("", text)
    assert text.strip()
    assert max(cell_len(line) for line in bare.splitlines()) <= look.columns
    assert "\x1b" not in bare, "no escape but those of colours"
    codes = {int(code or 0) for codes in SGR.findall(text) for code in codes.split(";")}
    assert codes <= (PALETTE if look.colored else set())
    assert bare.isascii() or look.encoding != "ascii"


@pytest.mark.parametrize("name", SCREENS)
def test_without_colour_a_screen_says_the_same(name: str) -> None:
    plain, colored = (shown(SCREENS[name], look) for look in LOOKS if look.columns == 80 and look.encoding == "utf-8")
    assert [line.rstrip() for line in SGR.sub("", colored).splitlines()] == plain.splitlines()


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_whole_and_asks_nobody(path: Path) -> None:
    """It is shown on pages of others: it may fetch nothing. `python -m tests.helpers.screens` takes them anew."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = path.read_text()
    assert "url(http" not in text
    assert "href" not in text
    told = " ".join("".join(root.itertext()).replace("\xa0", " ").split())
    assert "carts 5/5>" in told


def test_the_pictures_of_the_readme_are_there() -> None:
    assert {path.name for path in RECORDED.glob("*.svg")} == {"conflict.svg", "ring.svg"}

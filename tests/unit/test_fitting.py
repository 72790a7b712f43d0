"""Tables on terminals of any width: what is shown can be read, and what is hidden is counted."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dynamo_cli.render.fitting import CELLS_MIN, fit
from dynamo_cli.render.table import table_of
from dynamo_cli.render.theme import THEME


def drawn(columns: int, *cells: str) -> list[str]:
    table = table_of(*((f"C{i}", False) for i in range(len(cells))))
    table.add_row(*cells)
    sink = io.StringIO()
    Console(file=sink, width=columns, color_system=None, theme=THEME).print(table)
    return [line.rstrip() for line in sink.getvalue().splitlines()]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(1, 120))
def test_the_widest_give_way(widths: list[int], room: int) -> None:
    fitted = fit(widths, room)
    assert all(0 <= after <= before for after, before in zip(fitted, widths, strict=True))
    assert sum(fitted) <= max(room, len(widths))
    if sum(widths) <= room:
        assert fitted == widths
    untouched = [after for after, before in zip(fitted, widths, strict=True) if after == before]
    assert max(untouched, default=0) <= max(fitted, default=0)


@pytest.mark.parametrize("columns", range(14, 100, 3))
def test_a_table_fits_and_counts_what_it_hides(columns: int) -> None:
    cells = ["n1", "a rather long name of a node", "1,204", "why it waits, in many words indeed"]
    lines = drawn(columns, *cells)
    assert max(map(len, lines)) <= max(columns, len("(3 columns hidden: -o wide)"))
    shown = lines[0].count("C")
    assert len(lines) > 2 or shown == len(cells)
    if shown < len(cells):
        hidden = len(cells) - shown
        assert " ".join(lines[2:]) == f"({hidden} column{'s' * (hidden > 1)} hidden: -o wide)"


def test_a_wide_table_is_whole_and_short_columns_stay_whole() -> None:
    assert drawn(200, "a", "b" * 60, "c")[1].split() == ["a", "b" * 60, "c"]
    first, _, last = drawn(30, "x" * CELLS_MIN, "b" * 60, "c")[1].split()
    assert (first, last) == ("x" * CELLS_MIN, "c")

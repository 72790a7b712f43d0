"""Labels: what may be a name."""

from __future__ import annotations

import pytest

from node.core.labels import label
from node.core.limits import LABEL_BYTES_MAX


@pytest.mark.parametrize("word", ["n1", "N-1.a_b", "7", "a" * LABEL_BYTES_MAX])
def test_a_label_is_itself(word: str) -> None:
    assert label(word) == word


@pytest.mark.parametrize("word", ["", ".", "-n", "_n", "a b", "a/b", "a\n", "ä", "²", "a" * (LABEL_BYTES_MAX + 1)])
def test_what_is_no_label_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"{LABEL_BYTES_MAX} at most"):
        label(word)

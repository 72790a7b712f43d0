"""A new context secret: first everybody learns it, then it is used, and tokens of the one before stay good."""

from __future__ import annotations

import pytest

from node.core.change import Change, Impossible, begin, is_rotating, rotate, rotated
from node.core.cluster import RingState, Secret
from node.core.context import open_token, seal
from node.core.row import Dot
from tests.helpers.engine import node_id, sealed_ring

SETTLED = sealed_ring(["n1", "n2", "n3"])
N1 = node_id("n1")
CLOCK = (Dot(7, 1, 2),)


def token(state: RingState) -> bytes:
    made = seal(CLOCK, b"k", "c1", state.secrets)
    assert isinstance(made, bytes)
    return made


def knows(state: RingState, made: bytes) -> bool:
    return open_token(made, b"k", "c1", state.secrets) == CLOCK


def test_in_every_step_each_node_knows_the_tokens_of_those_one_step_away() -> None:
    learns = rotate(SETTLED, b"2" * 32, N1)
    uses = rotated(learns)
    assert [state.epoch - SETTLED.epoch for state in (learns, uses)] == [1, 2]
    assert (is_rotating(SETTLED), is_rotating(learns), is_rotating(uses)) == (False, True, False)
    assert token(learns) == token(SETTLED) != token(uses)
    for behind, ahead in (SETTLED, learns), (learns, uses):
        assert knows(behind, token(ahead)), "a token came to a node that does not know its secret"
        assert knows(ahead, token(behind))


def test_tokens_of_the_secret_before_stay_good_until_the_next_rotation() -> None:
    first = rotated(rotate(SETTLED, b"2" * 32, N1))
    second = rotated(rotate(first, b"3" * 32, N1))
    assert knows(first, token(SETTLED))
    assert knows(second, token(first))
    assert not knows(second, token(SETTLED))


def test_key_ids_go_round() -> None:
    last = SETTLED._replace(secrets=(Secret(255, b"l" * 32),))
    assert [secret.key_id for secret in rotated(rotate(last, b"n" * 32, N1)).secrets] == [0, 255]


def test_what_stands_against_a_rotation() -> None:
    learns = rotate(SETTLED, b"2" * 32, N1)
    moving = begin(SETTLED, Change("leave", node_id("n3"), words="leave n3"))
    for state, why in (
        (learns, "not over"), (moving, "still moving"), (SETTLED._replace(sealed=False), "nothing was written")
    ):  # fmt: skip
        with pytest.raises(Impossible, match=why):
            rotate(state, b"3" * 32, N1)

"""Context tokens: only what a member sealed, for this key of this cluster, opens."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.cluster import Secret
from node.core.context import FOREIGN, MALFORMED, RETIRED, TOO_LONG, VERSION, BadContext, open_token, seal
from node.core.limits import CONTEXT_TOKEN_BYTES_MAX
from node.core.row import Clock, Dot
from tests.helpers.causal import clock_of, dot_sets

KEY, CLUSTER = b"cart:42", "c1"
OLD, NEW = Secret(1, b"old" * 11), Secret(2, b"new" * 11)
SECRETS = (NEW, OLD)
CLOCK = (Dot(3, 5, 1), Dot(3, 7, 200), Dot(2**64 - 1, 1, 0), Dot(2**64 - 1, 1, 3), Dot(2**64 - 1, 2**63 - 1, 2**63 - 1))


def token_of(clock: Clock, secrets: tuple[Secret, ...] = SECRETS) -> bytes:
    token = seal(clock, KEY, CLUSTER, secrets)
    assert isinstance(token, bytes)
    return token


def check(token: bytes, expected: Clock | BadContext) -> None:
    assert open_token(token, KEY, CLUSTER, SECRETS) == expected


def forged(body: bytes, *, key: bytes = KEY, secret: Secret = NEW) -> bytes:
    """A token with a right MAC over any clock bytes, computed from the description and not by the code under test."""
    head = bytes([VERSION, secret.key_id]) + body
    bound = b"dyn context%d,%d:" % (len(CLUSTER), len(key)) + CLUSTER.encode() + key + head
    return base64.urlsafe_b64encode(head + hmac.new(secret.secret, bound, "sha256").digest()[:16]).rstrip(b"=")


def test_a_clock_comes_back() -> None:
    check(token_of(CLOCK), CLOCK)
    assert token_of(CLOCK).isascii()
    assert b"=" not in token_of(CLOCK)


@given(dot_sets)
def test_every_clock_comes_back(dots: set[Dot]) -> None:
    check(token_of(clock_of(dots)), clock_of(dots))


def test_who_saw_nothing_needs_no_proof() -> None:
    assert token_of(()) == b""
    check(b"", ())


def test_a_changed_bit_is_refused() -> None:
    token = token_of(CLOCK)
    for at in range(len(token)):
        for bit in range(8):
            changed = token[:at] + bytes([token[at] ^ 1 << bit]) + token[at + 1 :]
            assert isinstance(open_token(changed, KEY, CLUSTER, SECRETS), BadContext), (at, bit)


def test_a_changed_bit_under_the_base64_is_refused() -> None:
    token = token_of(CLOCK)
    data = base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        answer = open_token(base64.urlsafe_b64encode(changed).rstrip(b"="), KEY, CLUSTER, SECRETS)
        assert isinstance(answer, BadContext), bit


def test_a_truncated_or_lengthened_token_is_refused() -> None:
    token = token_of(CLOCK)
    for length in range(1, len(token)):
        assert isinstance(open_token(token[:length], KEY, CLUSTER, SECRETS), BadContext), length
        assert isinstance(open_token(token[length:], KEY, CLUSTER, SECRETS), BadContext), length
    for more in (b"A", b"=", b"==", b"\n", b" ", b"AAAA"):
        assert isinstance(open_token(token + more, KEY, CLUSTER, SECRETS), BadContext), more
        assert isinstance(open_token(more + token, KEY, CLUSTER, SECRETS), BadContext), more


def test_another_spelling_is_refused() -> None:
    """One token, one spelling: padding, the other alphabet, and bits beyond the last byte are not canonical."""
    token = next(t for n in range(1, 99) if b"-" in (t := token_of((Dot(5, 1, n),))) and len(t) % 4)
    check(token + b"=" * (-len(token) % 4), MALFORMED)
    check(token.replace(b"-", b"+"), MALFORMED)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    check(token[:-1] + alphabet[alphabet.index(token[-1]) + 1 :][:1], MALFORMED)


def test_a_token_of_another_key_or_cluster_is_foreign() -> None:
    token = token_of(CLOCK)
    assert open_token(token, b"cart:43", CLUSTER, SECRETS) == FOREIGN
    assert open_token(token, KEY, "c2", SECRETS) == FOREIGN
    assert open_token(token, b"1" + KEY, "c", SECRETS) == FOREIGN, "cluster and key do not run together"


def test_the_previous_secret_stays_valid_and_a_forgotten_one_does_not() -> None:
    check(token_of(CLOCK, (OLD,)), CLOCK)
    assert token_of(CLOCK) != token_of(CLOCK, (OLD,))
    assert open_token(token_of(CLOCK, (OLD,)), KEY, CLUSTER, (NEW,)) == RETIRED


def test_a_secret_of_the_same_number_is_not_the_same_secret() -> None:
    check(token_of(CLOCK, (Secret(NEW.key_id, b"guessed" * 5),)), FOREIGN)
    both = (Secret(NEW.key_id, b"other" * 7), *SECRETS)
    assert open_token(token_of(CLOCK), KEY, CLUSTER, both) == CLOCK


EPOCH = b"\x00" * 7 + b"\x03"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (EPOCH + b"\x01\x05\x01", (Dot(3, 5, 1),)),
        (b"", MALFORMED),
        (EPOCH, MALFORMED),
        (EPOCH + b"\x00", MALFORMED),
        (EPOCH + b"\x02\x05\x01", MALFORMED),
        (EPOCH + b"\x01\x05", MALFORMED),
        (EPOCH + b"\x01\x05\x00", MALFORMED),
        (EPOCH + b"\x01\x00\x01", MALFORMED),
        (EPOCH + b"\x01\x85\x00\x01", MALFORMED),
        (EPOCH + b"\x01\x05" + b"\xff" * 9 + b"\x01", MALFORMED),
        (EPOCH + b"\x01\x05" + b"\xff" * 8 + b"\x7f", (Dot(3, 5, 2**63 - 1),)),
        (EPOCH + b"\x02\x05\x01\x00\x02", MALFORMED),
        (EPOCH + b"\x02\x05\x01\x00\x03", (Dot(3, 5, 1), Dot(3, 5, 3))),
        (EPOCH + b"\x01\x05\x01" + EPOCH + b"\x01\x06\x01", MALFORMED),
        (EPOCH + b"\x01\x05\x01" + b"\x00" * 8 + b"\x01\x06\x01", MALFORMED),
        (EPOCH + b"\x01\x05\x01" + b"\x00" * 5, MALFORMED),
    ],
)
def test_even_a_sealed_clock_has_one_spelling(body: bytes, expected: Clock | BadContext) -> None:
    check(forged(body), expected)


def test_another_version_is_refused() -> None:
    data = base64.urlsafe_b64decode(forged(EPOCH + b"\x01\x05\x01") + b"==")
    check(base64.urlsafe_b64encode(bytes([VERSION + 1]) + data[1:]).rstrip(b"="), MALFORMED)


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    for token in (garbage, base64.urlsafe_b64encode(garbage).rstrip(b"=")):
        if token:
            assert isinstance(open_token(token, KEY, CLUSTER, SECRETS), BadContext)


def widest(entries: int) -> Clock:
    return tuple(Dot(2**63 + i, 2**62, 2**62) for i in range(entries))


def test_a_token_holds_at_least_113_actors_and_says_so_when_there_are_more() -> None:
    token = token_of(widest(113))
    assert CONTEXT_TOKEN_BYTES_MAX - 40 < len(token) <= CONTEXT_TOKEN_BYTES_MAX
    check(token, widest(113))
    assert seal(widest(114), KEY, CLUSTER, SECRETS) == TOO_LONG
    check(token_of(tuple(Dot(7, birth, 1) for birth in range(1, 1400))), tuple(Dot(7, b, 1) for b in range(1, 1400)))


def test_a_huge_token_is_refused_before_it_is_decoded() -> None:
    check(b"A" * (CONTEXT_TOKEN_BYTES_MAX + 1), TOO_LONG)
    check(b"A" * CONTEXT_TOKEN_BYTES_MAX, MALFORMED)

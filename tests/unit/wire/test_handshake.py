"""The opening: outcomes, what is said to whom, and that reflection, replay and a changed bit fail."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

import msgspec
import pytest

from node.core.limits import HANDSHAKE_FRAME_BYTES_MAX, NAME_BYTES_MAX
from node.wire.errors import RemoteWireError
from node.wire.handshake import (
    Accepted,
    Acceptor,
    Dialer,
    Foreign,
    Hello,
    Outcome,
    Reason,
    Rejected,
    claimed_id,
    decode_hello,
    derive_keys,
    hkdf,
    judge,
)
from node.wire.link import Goodbye, Moved, decode_link, encode_link
from node.wire.versions import VERSION_MAX

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NONCES = (number.to_bytes(32, "big") for number in count(1))


def hello(number: int, **changes: Any) -> Hello:
    made = Hello("", f"{number:032x}", f"n{number}", "127.0.0.1", 7800, 0, False, f"s{number}", f"life{number}")
    return msgspec.structs.replace(made, **changes)


A, B = hello(1), hello(2)


def dialer(own: Hello = A, *, cluster: str = "c", key: bytes = KEY) -> Dialer:
    return Dialer(derive_keys(key), cluster, own, next(NONCES))


def acceptor(own: Hello = B, *, cluster: str = "c", key: bytes = KEY) -> Acceptor:
    return Acceptor((derive_keys(key),), cluster, own, next(NONCES))


def meet(d: Dialer, a: Acceptor) -> tuple[Outcome, Outcome | None]:
    """Both outcomes of an undisturbed opening: the dialler's and the acceptor's (None: it waits for more)."""
    reply, outcome = a.receive(d.first)
    assert reply is not None
    finish, ours = d.receive(reply)
    if finish is not None:
        assert outcome is None
        nothing, outcome = a.receive(finish)
        assert nothing is None
    return ours, outcome


def test_two_nodes_of_a_cluster_accept_each_other() -> None:
    assert meet(dialer(), acceptor()) == (Accepted(B), Accepted(A))


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [("", "", Accepted), ("x", "", Accepted), ("", "x", Accepted), ("x", "x", Accepted), ("x", "y", Foreign)],
)
def test_two_seats_in_different_clusters_make_strangers(ours: str, theirs: str, kind: type) -> None:
    a, b = hello(1, cluster_id=ours), hello(2, cluster_id=theirs, members=3, sealed=True)
    assert meet(dialer(a), acceptor(b)) == (kind(b), kind(a))
    assert judge(a, b) == kind(b)


def test_another_name_learns_only_that() -> None:
    ours, theirs = meet(dialer(cluster="d\n"), acceptor())
    assert ours == Rejected(Reason.NAME, told=True) and theirs == Rejected(Reason.NAME, r"'d\n'")


def test_another_key_learns_only_that() -> None:
    ours, theirs = meet(dialer(key=OTHER_KEY), acceptor())
    assert ours == Rejected(Reason.KEY, told=True)
    assert theirs == Rejected(Reason.KEY, "its tag is wrong")
    reply, _ = acceptor().receive(dialer(key=OTHER_KEY).first)
    assert reply is not None and len(reply) < 60 and b"n2" not in reply and b"s2" not in reply


def test_a_dialler_says_nothing_of_itself_before_the_proof() -> None:
    first = dialer(hello(1, name="secret-name")).first
    assert b"secret-name" not in first and len(first) < 200


def test_an_acceptor_without_the_key_is_found_out() -> None:
    class Careless(Acceptor):
        """Somebody who answers without checking, because it cannot."""

    ours = dialer()
    careless = Careless((derive_keys(OTHER_KEY),), "c", B, next(NONCES))
    forged = dialer(key=OTHER_KEY)
    reply, _ = careless.receive(forged.first)
    assert reply is not None
    assert ours.receive(reply) == (None, Rejected(Reason.KEY, "its proof is wrong"))


def test_itself_and_a_copy_of_itself() -> None:
    assert meet(dialer(A), acceptor(A))[0] == Rejected(Reason.SELF)
    ours, _ = meet(dialer(A), acceptor(hello(1, life="another", storage_id="s9")))
    assert ours == Rejected(Reason.TWIN, "storage s9")


def test_reflected_proofs_fail() -> None:
    """What the node said itself, given back to it in either role."""
    ours = dialer()
    reflected, outcome = ours.receive(ours.first)
    assert reflected is None and isinstance(outcome, Rejected)
    first, a = dialer(), acceptor()
    reply, _ = a.receive(first.first)
    assert reply is not None
    assert isinstance(a.receive(reply)[1], Rejected)
    # The acceptor's proof in place of the dialler's: same keys, same nonces, the other role.
    first, a = dialer(), acceptor()
    reply, _ = a.receive(first.first)
    assert reply is not None
    _, body, _, proof = msgspec.msgpack.decode(reply[1:])
    echoed = b"\x01" + msgspec.msgpack.encode([3, body, proof])
    assert a.receive(echoed) == (None, Rejected(Reason.KEY, "its proof is wrong"))


def test_replayed_openings_fail() -> None:
    first, a = dialer(), acceptor()
    reply, _ = a.receive(first.first)
    assert reply is not None
    finish, _ = first.receive(reply)
    assert finish is not None
    later = acceptor()
    again, outcome = later.receive(first.first)
    assert again is not None and outcome is None, "an Open is not fresh: it may be replayed, and gains nothing"
    assert later.receive(finish) == (None, Rejected(Reason.KEY, "its proof is wrong"))
    assert dialer().receive(reply) == (None, Rejected(Reason.KEY, "its proof is wrong"))


def test_each_part_of_each_message_is_covered() -> None:
    """One bit flipped anywhere in the exchange: nobody is accepted who did not see it."""
    first, a = dialer(), acceptor()
    reply, _ = a.receive(first.first)
    assert reply is not None
    finish, _ = first.receive(reply)
    assert finish is not None
    keys = derive_keys(KEY)
    for at in range(len(reply)):
        nonce = next(NONCES)
        fresh = Dialer(keys, "c", A, nonce)
        answer, _ = Acceptor((keys,), "c", B, nonce).receive(fresh.first)
        assert answer is not None
        assert isinstance(fresh.receive(flip(answer, at))[1], Rejected), at
    for at in range(len(finish)):
        nonce = next(NONCES)
        fresh, theirs = Dialer(keys, "c", A, nonce), Acceptor((keys,), "c", B, nonce)
        answer, _ = theirs.receive(fresh.first)
        assert answer is not None
        last, _ = fresh.receive(answer)
        assert last is not None
        assert isinstance(theirs.receive(flip(last, at))[1], Rejected), at
    for at in range(len(first.first)):
        fresh, theirs = dialer(), acceptor()
        assert isinstance(theirs.receive(flip(fresh.first, at))[1], Rejected), at


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_noise_is_an_outcome_and_never_an_exception() -> None:
    random, whole = Random(2), dialer().first
    noises = [b"", b"\x01", whole[:-1], whole + b"\0", *(random.randbytes(random.randrange(200)) for _ in range(500))]
    for noise in [*noises, *(b"\x01" + noise for noise in noises), *(whole[:at] for at in range(len(whole)))]:
        assert isinstance(dialer().receive(noise)[1], Rejected)
        assert isinstance(acceptor().receive(noise)[1], Rejected)


def test_another_version_is_told() -> None:
    ours, theirs = dialer(), acceptor()
    reply, outcome = theirs.receive(b"\x02" + ours.first[1:])
    assert outcome == Rejected(Reason.PROTOCOL, "2, and this node speaks 1") and reply is not None
    assert ours.receive(reply) == (None, Rejected(Reason.PROTOCOL, told=True))


def test_while_a_key_is_exchanged_either_is_taken_and_the_link_knows_which() -> None:
    both = derive_keys(KEY), derive_keys(OTHER_KEY)
    for key in KEY, OTHER_KEY:
        theirs = Acceptor(both, "c", B, next(NONCES))
        assert meet(dialer(key=key), theirs) == (Accepted(B), Accepted(A))
        assert theirs.keys == derive_keys(key)
    assert meet(dialer(key=b"x" * 32), Acceptor(both, "c", B, next(NONCES)))[1] == Rejected(
        Reason.KEY, "its tag is wrong"
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "spoken"),
    [((1, 1), (1, 1), 1), ((2, 1), (1, 1), 1), ((3, 2), (4, 2), 3), ((4, 3), (2, 1), None), ((1, 1), (3, 2), None)],
)
def test_two_releases_speak_the_newest_version_that_both_know(
    ours: tuple[int, int], theirs: tuple[int, int], spoken: int | None
) -> None:
    a = hello(1, protocol=ours[0], oldest=ours[1], release="0.1.0")
    b = hello(2, protocol=theirs[0], oldest=theirs[1])
    outcomes = meet(dialer(a), acceptor(b))
    if spoken is not None:
        assert outcomes == (Accepted(b, spoken), Accepted(a, spoken))
        return
    for outcome in outcomes:  # both sides say it, and what each of the two speaks
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.PROTOCOL
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].detail.startswith("it (dyn '0.1.0') speaks version")


@pytest.mark.parametrize("versions", [(0, 0), (1, 2), (VERSION_MAX + 1, 1)])
def test_versions_that_are_none_make_no_hello(versions: tuple[int, int]) -> None:
    said = hello(2, protocol=versions[0], oldest=versions[1])
    with pytest.raises(RemoteWireError, match="protocol versions"):
        decode_hello(msgspec.msgpack.encode(said))


def test_a_node_id_that_changes_half_way_is_malformed() -> None:
    nonce, keys = next(NONCES), derive_keys(KEY)
    theirs = acceptor()
    ours = Dialer(keys, "c", A, nonce)
    reply, _ = theirs.receive(ours.first)
    assert reply is not None
    ours._own = hello(3)
    finish, _ = ours.receive(reply)
    assert finish is not None
    assert theirs.receive(finish) == (None, Rejected(Reason.MALFORMED, "its node id changed"))


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": "x"}, {"name": ""}, {"name": "a\nb"}, {"host": ""}, {"peer_port": 0}, {"peer_port": 65536},
        {"members": 257}, {"members": -1}, {"cluster_id": "n" * (NAME_BYTES_MAX + 1)}, {"life": "\0"},
    ],
)  # fmt: skip
def test_a_hello_out_of_bounds_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteWireError):
        decode_hello(msgspec.msgpack.encode(hello(1, **changes)))
    assert meet(dialer(hello(1, **changes)), acceptor())[1].__class__ is Rejected


def test_the_longest_opening_fits_its_frame() -> None:
    long = "é" * (NAME_BYTES_MAX // 2)
    own = hello(1, name=long, host=long, cluster_id=long, storage_id=long, life=long)
    d, a = dialer(own, cluster=long), acceptor(msgspec.structs.replace(own, node_id="f" * 32), cluster=long)
    reply, _ = a.receive(d.first)
    assert reply is not None
    finish, _ = d.receive(reply)
    assert finish is not None and max(map(len, (d.first, reply, finish))) <= HANDSHAKE_FRAME_BYTES_MAX


@pytest.mark.parametrize(
    ("secret", "salt", "info", "okm"),
    [  # RFC 5869, appendix A.1 to A.3
        (
            "0b" * 22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(), bytes(range(0x60, 0xB0)).hex(), bytes(range(0xB0, 0x100)).hex(),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "0b" * 22, "", "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)  # fmt: skip
def test_hkdf_by_the_vectors_of_its_rfc(secret: str, salt: str, info: str, okm: str) -> None:
    expected = bytes.fromhex(okm)
    assert hkdf(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(info), len(expected)) == expected


def test_subkeys_differ_by_role_and_key() -> None:
    keys = derive_keys(KEY) + derive_keys(OTHER_KEY)
    assert len(set(keys)) == 8 and KEY not in keys


def test_words_about_the_link() -> None:
    for word in Goodbye(), Moved("", 0, False), Moved("x", 256, True):
        assert decode_link(encode_link(word)) == word


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\xc0", b"\0\x91\x03", b"\0\x94\x01\xa1\n\x00\xc2", b"\0\x94\x01\xa0\xff\xc2"]
)
def test_other_words_are_malformed(data: bytes) -> None:
    with pytest.raises(RemoteWireError):
        decode_link(data)


def test_every_frame_of_an_opening_says_whom_it_claims_to_be_from() -> None:
    d, a = dialer(), acceptor()
    reply, _ = a.receive(d.first)
    assert reply is not None
    finish, _ = d.receive(reply)
    assert finish is not None
    assert [claimed_id(frame) for frame in (d.first, reply, finish)] == [A.node_id, B.node_id, A.node_id]
    refusal, _ = acceptor(cluster="d").receive(dialer().first)
    assert refusal is not None
    for frame in (refusal, b"", b"\x00", finish[:-1], b"\x07noise"):
        assert claimed_id(frame) == ""

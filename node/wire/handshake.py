"""The opening of a peer connection: three messages after which each side knows that the other holds the cluster key.

    dialer                                                          acceptor
      │ Open    cluster name, node id, nonce, tag ─────────────────────▶ │  tag wrong: Refusal, nothing else is said
      │ ◀───────────────────── Reply   hello, nonce, proof(Open, Reply)  │
      │ Finish  hello, proof(Open, Reply, Finish) ─────────────────────▶ │

Proofs are HMAC-SHA256 over the role and everything said so far (so over both ids, nonces and hellos), with one subkey
per role by HKDF (RFC 5869) from the cluster key: a proof echoed back is of the wrong role, a recorded one of another
nonce. A hello is sent only to a side that showed the key: the acceptor sends its own after the tag on `Open`, the
dialer after the proof in `Reply`. Who has another name or key learns that it has, and no more. (Without TLS nothing is
claimed against someone on the path: he reads along, and may replay an `Open` to read a `Reply` again.)

Two pure machines. Nonces are arguments, outcomes are values.

    Dialer                                     Acceptor
    WAITS_REPLY ──Reply──▶ done                WAITS_OPEN ──Open──▶ WAITS_FINISH ──Finish──▶ done
        └──Refusal, anything else──▶ done           └──anything else──▶ done  ◀──┘
"""

from __future__ import annotations

import hmac
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

import msgspec

from node.core.ids import NodeId
from node.core.limits import MEMBERS_MAX
from node.wire.bounds import check_label, check_node_id
from node.wire.codec import PROTOCOL
from node.wire.copies import LINK_BYTES, Seal
from node.wire.errors import RemoteWireError
from node.wire.versions import VERSION_MAX, common

NONCE_BYTES: Final = 32
_VERSION: Final = bytes([PROTOCOL])
_encoder: Final = msgspec.msgpack.Encoder()


class Hello(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a node says of itself when a link opens.

    `cluster_id` is "" without a seat; `members` and `sealed` describe its cluster. `host`:`peer_port` is where it
    listens. `life` differs at every start of the process: a known node with a new life has forgotten its conversations.
    `protocol` is the newest version it speaks, `oldest` the oldest one (`wire.versions`), `release` its own version.
    """

    cluster_id: str
    node_id: str
    name: str
    host: str
    peer_port: int
    members: int
    sealed: bool
    storage_id: str
    life: str
    protocol: int = 1
    oldest: int = 1
    release: str = ""


class Reason(Enum):
    """Why there is no link. The values travel in a `Refusal`, and are words for a person."""

    NAME = "another cluster name"
    KEY = "another cluster key"
    PROTOCOL = "another protocol version"
    SELF = "it is this node itself"
    TWIN = "another process has this node's id: a copied data directory"
    MALFORMED = "it does not speak this protocol"
    TLS = "no TLS with it"
    PLAIN = "this port speaks TLS"
    CERTIFICATE = "the certificate is of another role or cluster"


class Accepted(NamedTuple):
    """The other side holds the key and may be talked to, in the `protocol` that is the newest of both."""

    peer: Hello
    protocol: int = 1


class Foreign(NamedTuple):
    """The other side holds the key and has the name, but both have a seat, and in different clusters: no link."""

    peer: Hello


class Rejected(NamedTuple):
    """No link. `detail` has particulars for the log; `told`: the other side says so, which proves nothing."""

    reason: Reason
    detail: str = ""
    told: bool = False

    @property
    def words(self) -> str:
        """Why, for a person: of versions also which they are."""
        return f"{self.reason.value}: {self.detail}" if self.reason is Reason.PROTOCOL else self.reason.value


Outcome = Accepted | Foreign | Rejected


class _Open(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    cluster: str
    node_id: str
    nonce: bytes
    tag: bytes


class _Reply(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    hello: bytes
    nonce: bytes
    proof: bytes


class _Finish(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    hello: bytes
    proof: bytes


class _Refusal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    reason: Reason


_open_decoder: Final = msgspec.msgpack.Decoder(_Open)
_answer_decoder: Final[msgspec.msgpack.Decoder[_Reply | _Refusal]] = msgspec.msgpack.Decoder(_Reply | _Refusal)
_finish_decoder: Final = msgspec.msgpack.Decoder(_Finish)
_any_decoder: Final[msgspec.msgpack.Decoder[_Open | _Reply | _Finish | _Refusal]] = msgspec.msgpack.Decoder(
    _Open | _Reply | _Finish | _Refusal
)


class Keys(NamedTuple):
    """Subkeys of one cluster key, one per role."""

    open: bytes
    acceptor: bytes
    dialer: bytes
    copies: bytes


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes derived from `secret`: HKDF with SHA-256 (RFC 5869, section 2)."""
    assert length <= 255 * 32, f"HKDF cannot give {length} bytes"
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    block = out = b""
    counter = 0
    while len(out) < length:
        counter += 1
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


def derive_keys(cluster_key: bytes) -> Keys:
    """Return the subkeys of `cluster_key`, the shared secret of the cluster."""
    return Keys(*(hkdf(cluster_key, b"dyn peer 1", role, 32) for role in (b"open", b"acceptor", b"dialer", b"copies")))


def seal_of(keys: Keys, opened: bytes, replied: bytes, *, dialled: bool) -> Seal:
    """The seal for the datagrams of one link: both ends know what was said in its opening, and nobody else the key."""
    link = _mac(keys.copies, b"link", opened, replied)[:LINK_BYTES]
    return Seal(link, _mac(keys.copies, b"key", opened, replied), dialled=dialled)


def judge(own: Hello, peer: Hello) -> Accepted | Foreign | Rejected:
    """Whether two proven nodes may talk: unless they have no version in common, or seats in different clusters."""
    protocol = common(own.protocol, own.oldest, peer.protocol, peer.oldest)
    if protocol is None:
        return Rejected(Reason.PROTOCOL, f"{_spoken('it', peer)}, {_spoken('this node', own)}")
    if own.cluster_id and peer.cluster_id and own.cluster_id != peer.cluster_id:
        return Foreign(peer)
    return Accepted(peer, protocol)


def _spoken(who: str, hello: Hello) -> str:
    versions = f"{hello.oldest} to {hello.protocol}" if hello.oldest < hello.protocol else str(hello.protocol)
    release = f" (dyn {_shown(hello.release)})" if hello.release else ""
    return f"{who}{release} speaks version {versions}"


class Dialer:
    """The side that opened the connection. Send `first`; give every frame to `receive` until it returns an outcome.

    `seal` is for the datagrams of the link, once the other side is proven.
    """

    __slots__ = ("_done", "_own", "_said", "first", "keys", "seal")

    def __init__(self, keys: Keys, cluster: str, own: Hello, nonce: bytes) -> None:
        assert len(nonce) == NONCE_BYTES, f"nonce of {len(nonce)} bytes"
        self.keys = keys
        self._own = own
        self._done = False
        tag = _mac(keys.open, b"open", cluster.encode(), own.node_id.encode(), nonce)
        self.first = _VERSION + _encoder.encode(_Open(cluster, own.node_id, nonce, tag))
        self._said = self.first
        self.seal: Seal | None = None

    def receive(self, payload: bytes | memoryview) -> tuple[bytes | None, Outcome]:
        """Return what to send, if anything, and how it ended: one frame decides."""
        assert not self._done, "the dialer's opening is over"
        self._done = True
        try:
            message = _decoded(payload, _answer_decoder)
            if isinstance(message, _Refusal):
                return None, Rejected(message.reason, told=True)
            expected = _mac(self.keys.acceptor, b"acceptor", self._said, message.hello, message.nonce)
            if len(message.nonce) != NONCE_BYTES or not hmac.compare_digest(expected, message.proof):
                return None, Rejected(Reason.KEY, "its proof is wrong")
            peer = decode_hello(message.hello)
        except RemoteWireError as error:
            return None, _rejected(error)
        if peer.node_id == self._own.node_id:
            return None, _same_id(self._own, peer)
        hello = _encoder.encode(self._own)
        proof = _mac(self.keys.dialer, b"dialer", self._said, bytes(payload), hello)
        self.seal = seal_of(self.keys, self._said, bytes(payload), dialled=True)
        return _VERSION + _encoder.encode(_Finish(hello, proof)), judge(self._own, peer)


class Acceptor:
    """The side that was dialled. Give every frame to `receive` until it returns an outcome. `seal` as for a dialer.

    It lets in whoever has one of the keys `known`; `keys` is which of them the other side has.
    """

    __slots__ = ("_cluster", "_done", "_known", "_nonce", "_own", "_said", "keys", "seal")

    def __init__(self, known: tuple[Keys, ...], cluster: str, own: Hello, nonce: bytes) -> None:
        assert len(nonce) == NONCE_BYTES, f"nonce of {len(nonce)} bytes"
        self._known = known
        self.keys = known[0]
        self._cluster = cluster
        self._own = own
        self._nonce = nonce
        self._said: tuple[bytes, bytes, str] | None = None  # Open, our Reply, the dialer's node id
        self.seal: Seal | None = None
        self._done = False

    def receive(self, payload: bytes | memoryview) -> tuple[bytes | None, Outcome | None]:
        """Return what to send, if anything, and how it ended, or None while it goes on."""
        assert not self._done, "the acceptor's opening is over"
        try:
            if self._said is None:
                reply, outcome = self._opened(bytes(payload))
            else:
                reply, outcome = None, self._finished(bytes(payload), *self._said)
        except RemoteWireError as error:
            reply, outcome = None, _rejected(error)
            if outcome.reason is Reason.PROTOCOL:
                reply = refusal(Reason.PROTOCOL)
        self._done = outcome is not None
        return reply, outcome

    def _opened(self, payload: bytes) -> tuple[bytes, Outcome | None]:
        message = _decoded(payload, _open_decoder)
        if message.cluster != self._cluster:
            return refusal(Reason.NAME), Rejected(Reason.NAME, _shown(message.cluster))
        said = self._cluster.encode(), message.node_id.encode(), message.nonce
        fitting = [keys for keys in self._known if hmac.compare_digest(_mac(keys.open, b"open", *said), message.tag)]
        if len(message.nonce) != NONCE_BYTES or not fitting:
            return refusal(Reason.KEY), Rejected(Reason.KEY, "its tag is wrong")
        self.keys = fitting[0]
        hello = _encoder.encode(self._own)
        proof = _mac(self.keys.acceptor, b"acceptor", payload, hello, self._nonce)
        reply = _VERSION + _encoder.encode(_Reply(hello, self._nonce, proof))
        self._said = (payload, reply, message.node_id)
        return reply, None

    def _finished(self, payload: bytes, opened: bytes, replied: bytes, node_id: str) -> Outcome:
        message = _decoded(payload, _finish_decoder)
        expected = _mac(self.keys.dialer, b"dialer", opened, replied, message.hello)
        if not hmac.compare_digest(expected, message.proof):
            return Rejected(Reason.KEY, "its proof is wrong")
        peer = decode_hello(message.hello)
        if peer.node_id != node_id:
            return Rejected(Reason.MALFORMED, "its node id changed")
        if peer.node_id == self._own.node_id:
            return _same_id(self._own, peer)
        self.seal = seal_of(self.keys, opened, replied, dialled=False)
        return judge(self._own, peer)


def decode_hello(data: bytes) -> Hello:
    """Return the hello in `data`; RemoteWireError if it is not one."""
    try:
        hello = msgspec.msgpack.decode(data, type=Hello)
        check_node_id(hello.node_id)
        check_label("node name", hello.name, least=1)
        check_label("host", hello.host, least=1)
        for what, text in ("cluster id", hello.cluster_id), ("storage id", hello.storage_id), ("life", hello.life):
            check_label(what, text)
        check_label("release", hello.release)
        if not 1 <= hello.oldest <= hello.protocol <= VERSION_MAX:
            raise ValueError(f"protocol versions {hello.oldest} to {hello.protocol}")
        if not 1 <= hello.peer_port <= 0xFFFF or not 0 <= hello.members <= MEMBERS_MAX:
            raise ValueError("peer port or number of members out of range")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteWireError("malformed hello", str(error)) from error
    return hello


def claimed_id(payload: bytes | memoryview) -> str:
    """The node id that a frame of an opening claims, "" if it names none. Proves nothing: for switches of tests."""
    try:
        message = _decoded(payload, _any_decoder)
        if isinstance(message, _Open):
            return message.node_id
        return "" if isinstance(message, _Refusal) else decode_hello(message.hello).node_id
    except RemoteWireError:
        return ""


def peer_id(hello: Hello) -> NodeId:
    """The node id of a checked hello."""
    return NodeId(hello.node_id)


def _same_id(own: Hello, peer: Hello) -> Rejected:
    return Rejected(Reason.SELF) if own.life == peer.life else Rejected(Reason.TWIN, f"storage {peer.storage_id}")


T = TypeVar("T")


def _decoded(payload: bytes | memoryview, decoder: msgspec.msgpack.Decoder[T]) -> T:
    if not len(payload) or payload[0] != PROTOCOL:
        version = f"{payload[0]}, and this node speaks {PROTOCOL}" if len(payload) else "empty frame"
        raise RemoteWireError("another protocol version", version)
    try:
        return decoder.decode(payload[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteWireError("malformed opening", str(error)) from error


def _mac(key: bytes, role: bytes, *parts: bytes) -> bytes:
    """HMAC over the role and the parts, each with its length, so that no two lists of parts give the same bytes."""
    said = hmac.new(key, digestmod=sha256)
    for part in (role, *parts):
        said.update(len(part).to_bytes(4, "big"))
        said.update(part)
    return said.digest()


def refusal(reason: Reason) -> bytes:
    """Return the frame that says why there will be no link."""
    return _VERSION + _encoder.encode(_Refusal(reason))


def _rejected(error: RemoteWireError) -> Rejected:
    version = error.code == "another protocol version"
    return Rejected(Reason.PROTOCOL if version else Reason.MALFORMED, error.detail)


def _shown(text: str) -> str:
    """A stranger's text for our log: short and printable."""
    return ascii(text[:64])

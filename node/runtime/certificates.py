"""The certificate, key and CA of a node: read, checked, and made into what its ports speak TLS with.

Checked before anything is opened, each with one line that says which file and what to do: readable, the key the owner's
alone, the key that of the certificate; and the node shakes hands with itself, so that whatever its peers would refuse
(another CA, expired, not meant for both sides) stops its start, not its first link. The files are read once: a renewed
certificate counts from the next start on.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.core.limits import HALF_OPEN_MAX
from node.core.roles import CLIENT, NODE, fault_of
from node.runtime.config import NodeSettings, StartError
from node.runtime.discovery import is_loopback
from node.runtime.keys import SecretFileError, read_tls_key
from node.runtime.tls import TlsPort
from node.tls import why_of
from node.wire.framing import frame
from node.wire.handshake import Reason, refusal
from node.wire.replies import encode_error

FILE_BYTES_MAX: Final = 1024 * 1024
"""Of a certificate with its chain, or of a CA file: those of all public CAs together have a quarter of it."""

EXPIRES_SOON_S: Final = 30 * 86_400
"""A node whose certificate ends within a month says so when it starts."""

FLIGHTS_MAX: Final = 10
"""A handshake has two or three."""

Refused = Callable[[str, str], None]


class Tls(NamedTuple):
    """What a node speaks TLS with. `expires_at` is Unix time."""

    cluster: str
    accepting: ssl.SSLContext
    serving: ssl.SSLContext
    dialling: ssl.SSLContext
    expires_at: float

    def peer_port(self, refused: Refused) -> TlsPort:
        """For nodes that dial this one: they show a certificate of a node of this cluster, or are let go."""
        return TlsPort(
            self.accepting,
            accepts=True,
            fault=self._no_node,
            refused=refused,
            farewell=lambda fault: frame(refusal(Reason.CERTIFICATE)),
            plain=lambda said: frame(refusal(Reason.PLAIN)) if said[:1] == b"\0" else b"",
            handshakes_max=HALF_OPEN_MAX,
        )

    def dialler(self) -> TlsPort:
        """For nodes that this one dials: as strict."""
        return TlsPort(self.dialling, accepts=False, fault=self._no_node, handshakes_max=HALF_OPEN_MAX)

    def client_port(self, refused: Refused) -> TlsPort:
        """For clients. They need no certificate (AUTH is as ever); one that is shown is of this cluster."""
        return TlsPort(
            self.serving,
            accepts=True,
            fault=self._no_client,
            refused=refused,
            farewell=lambda fault: encode_error("DENIED", f"your certificate {fault}"),
            plain=lambda said: NO_PLAIN if said[:1] == b"*" else b"",
        )

    def http_port(self, refused: Refused, listen: str) -> TlsPort | None:
        """For scrapers and load balancers: as for clients, with nothing to say to those it refuses. None on loopback,
        where HTTP stays plain."""
        if is_loopback(listen):
            return None
        return TlsPort(self.serving, accepts=True, fault=self._no_client, refused=refused)

    def _no_node(self, certificate: dict[str, Any] | None) -> str:
        return fault_of(certificate or {}, (NODE,), self.cluster)

    def _no_client(self, certificate: dict[str, Any] | None) -> str:
        return "" if certificate is None else fault_of(certificate, (CLIENT, NODE), self.cluster)


NO_PLAIN: Final = encode_error("ERR", "this port speaks TLS: dyn --tls-ca FILE, redis-cli --tls --cacert FILE")
"""What a client hears that speaks RESP without TLS."""


def open_tls(settings: NodeSettings) -> Tls | None:
    """Read and check the files that the settings name, if they do. Raises StartError."""
    cert, key, ca = settings.tls_cert, settings.tls_key, settings.tls_ca
    if cert is None or key is None or ca is None:
        return None
    _read(cert, "--tls-cert")
    _read(ca, "--tls-ca")
    try:
        read_tls_key(key)
    except SecretFileError as error:
        raise StartError(str(error)) from None
    tls = load_tls(settings.cluster, cert, key, ca)
    try:
        shown = shake_hands(tls.accepting, tls.dialling)
    except ssl.SSLError as error:
        raise StartError(f"no node that knows the CA {ca} would take {cert}: {why_of(error)}", MAKE) from None
    fault = fault_of(shown, (NODE,), settings.cluster)
    if fault:
        raise StartError(f"{cert} is not for a node of the cluster {settings.cluster}: it {fault}", MAKE)
    return tls._replace(expires_at=ssl.cert_time_to_seconds(shown["notAfter"]))


def load_tls(cluster: str, cert: Path, key: Path, ca: Path) -> Tls:
    """The contexts of these files; whether anybody would take the certificate is not asked. Raises StartError."""
    return Tls(
        cluster,
        _context(cert, key, ca, ssl.PROTOCOL_TLS_SERVER, ssl.CERT_REQUIRED),
        _context(cert, key, ca, ssl.PROTOCOL_TLS_SERVER, ssl.CERT_OPTIONAL),
        _context(cert, key, ca, ssl.PROTOCOL_TLS_CLIENT, ssl.CERT_REQUIRED),
        expires_at=0.0,
    )


MAKE: Final = "Make one: dyn node cert node NAME"


def shake_hands(accepting: ssl.SSLContext, dialling: ssl.SSLContext) -> dict[str, Any]:
    """Have two contexts shake hands, each showing its certificate; return the acceptor's. Raises ssl.SSLError."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    dialler = dialling.wrap_bio(back, there)
    acceptor = accepting.wrap_bio(there, back, server_side=True)
    for _ in range(FLIGHTS_MAX):
        waits = 0
        for side in (dialler, acceptor):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waits += 1
        if not waits:
            break
    return dialler.getpeercert() or {}


def _context(cert: Path, key: Path, ca: Path, side: int, verify: ssl.VerifyMode) -> ssl.SSLContext:
    """One side of TLS, from 1.2 on, that shows `cert` and takes what `ca` signed."""
    context = ssl.SSLContext(side)
    context.check_hostname = False  # roles are checked instead (node.core.roles)
    context.verify_mode = verify
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a session that is resumed shows no certificate, so an expired one would be good still
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise StartError(f"--tls-ca {ca} holds no certificate (PEM)", "Make a CA: dyn node cert ca") from None
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartError(
                f"--tls-key {key} is not the key of --tls-cert {cert}", "Name the two of one pair"
            ) from None
        raise StartError(f"--tls-cert {cert} and --tls-key {key} are no certificate and its key (PEM)", MAKE) from None
    except _Encrypted:
        raise StartError(
            f"--tls-key {key} is encrypted, and a node cannot ask for its password",
            f"Keep it readable by its owner alone: openssl pkey -in {key} -out plain.key",
        ) from None
    return context


class _Encrypted(Exception):
    """OpenSSL asks for a password."""


def _no_password() -> bytes:
    raise _Encrypted


def _read(path: Path, option: str) -> None:
    """See that a file can be read and is no larger than any such file."""
    try:
        with path.open("rb") as file:
            size = len(file.read(FILE_BYTES_MAX + 1))
    except OSError as error:
        raise StartError(f"cannot read {option} {path}: {error.strerror}") from None
    if size > FILE_BYTES_MAX:
        raise StartError(f"{option} {path} is over {FILE_BYTES_MAX} bytes: no file of certificates")

"""Certificates for a cluster whose operators have no CA of their own: made with `cryptography` (the extra `tls`).

A CA of one level, keys on the curve P-256, and in every certificate the URI by which nodes know each other
(`node.core.roles`). Nothing is ever overwritten, unless it is renewed; keys are 0600 from the first byte on.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from node.core.roles import NODE, uri_of

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA = "ca"
CA_DAYS = 3650
LEAF_DAYS = 730
"""Two years: long enough to be forgotten, so a node whose certificate ends within a month says so when it starts."""

EARLIER = timedelta(hours=1)
"""A certificate is valid from so long before it was made: clocks differ."""

HERE = ("localhost", "127.0.0.1", "::1")
"""Names under which every node is reached on its own machine."""


class Wanted(NamedTuple):
    """What to make: `role` is ca, node or client; `hosts` are names and addresses under which a node is reached."""

    role: str
    name: str
    cluster: str
    hosts: tuple[str, ...]
    days: int


class Made(NamedTuple):
    """What was made."""

    cert: Path
    key: Path
    expires_at: datetime


def make(wanted: Wanted, folder: Path, *, renew: bool, now: datetime) -> Made:
    """Make a certificate and its key in `folder`. Raises CliError, OSError."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise CliError(
            ExitStatus.FAILURE, "making certificates takes the package cryptography", "pip install cryptography"
        ) from None
    cert, key = folder / f"{wanted.name}.pem", folder / f"{wanted.name}.key"
    there = [path for path in (cert, key) if path.exists()]
    if there and (not renew or wanted.role == CA):
        hint = "Name another folder: --dir DIR" if wanted.role == CA else "Make a new one in its place: --renew"
        raise CliError(ExitStatus.REFUSED, f"{there[0]} is there already", hint)
    private = ec.generate_private_key(ec.SECP256R1())
    until = now + timedelta(days=wanted.days)
    if wanted.role == CA:
        name = x509.Name([_common(f"CA of dyn cluster {wanted.cluster}, {now:%Y-%m-%d}")])
        built = _certificate(name, name, private, private, now, until, _of_ca())
    else:
        issuer, signer = _authority(folder)
        until = min(until, issuer.not_valid_after_utc)
        built = _certificate(
            x509.Name([_common(wanted.name)]), issuer.subject, private, signer, now, until, _of_leaf(wanted)
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(key, _pem(private), 0o600)
    _write(cert, _pem(built), 0o644)
    return Made(cert, key, until)


def _common(text: str) -> x509.NameAttribute[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.NameAttribute(NameOID.COMMON_NAME, text[:64])


def _of_ca() -> list[tuple[x509.ExtensionType, bool]]:
    from cryptography import x509

    return [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(signs=True), True)]


def _of_leaf(wanted: Wanted) -> list[tuple[x509.ExtensionType, bool]]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri_of(wanted.cluster, wanted.role))]
    for host in dict.fromkeys((*wanted.hosts, *HERE)) if wanted.role == NODE else ():
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    sides = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if wanted.role == NODE:
        sides.append(ExtendedKeyUsageOID.SERVER_AUTH)  # a node dials, too
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage(sides), False),
        (x509.SubjectAlternativeName(names), False),
    ]


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    private: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    now: datetime,
    until: datetime,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, until) - EARLIER)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())


def _authority(folder: Path) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """The CA in `folder`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    cert, key = folder / f"{CA}.pem", folder / f"{CA}.key"
    for path in (cert, key):
        if not path.exists():
            raise CliError(
                ExitStatus.NOT_FOUND, f"no CA in {folder}: {path.name} is missing", "Make it: dyn node cert ca"
            )
    if stat.S_IMODE(key.stat().st_mode) & 0o077:
        raise CliError(ExitStatus.REFUSED, f"{key} can be read by others", f"chmod 600 {key}")
    try:
        issuer = x509.load_pem_x509_certificate(cert.read_bytes())
        signer = load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise CliError(ExitStatus.FAILURE, f"{cert} and {key} are no CA of dyn node cert", "See: --dir DIR") from None
    if not isinstance(signer, EllipticCurvePrivateKey) or signer.public_key() != issuer.public_key():
        raise CliError(ExitStatus.FAILURE, f"{key} is not the key of {cert}", "See: --dir DIR")
    return issuer, signer


def _pem(thing: x509.Certificate | EllipticCurvePrivateKey) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM)
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in its place, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC).replace(microsecond=0)

"""TLS as a client speaks it, and what went wrong with it in words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final


def client_context(ca: str | Path, cert: str | Path | None = None, key: str | Path | None = None) -> ssl.SSLContext:
    """What a client speaks TLS with, from 1.2 on: `ca` signs nodes; `cert` and `key` (it may be in `cert`) are shown.

    Names of hosts are not compared: see `node.core.roles` for what is asked of a node's certificate instead. Raises
    OSError (ssl.SSLError among them) for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


OTHER_CA: Final = "its certificate is not of our CA"
VERDICTS: Final = {
    2: OTHER_CA, 18: OTHER_CA, 19: OTHER_CA, 20: OTHER_CA, 21: OTHER_CA, 7: OTHER_CA,
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    26: "its certificate is not meant for this side of TLS (extended key usage)",
}  # fmt: skip
"""What OpenSSL's verification found (x509_vfy.h: X509_V_ERR_…)."""

REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS from 1.2 on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it does not take TLS from 1.2 on",
    "TLSV1_ALERT_UNKNOWN_CA": "it says that our certificate is not of its CA",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate is not valid now",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it says that our certificate is not meant for this side of TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of us",
}
"""What else OpenSSL may say. An alert is the other side's word."""


def why_of(error: ssl.SSLError) -> str:
    """A failure of TLS as one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERDICTS.get(error.verify_code, f"its certificate is refused: {error.verify_message}")
    reason = error.reason or ""
    words = reason.replace("SSLV3_", "").replace("TLSV13_", "").replace("TLSV1_", "").replace("_", " ").lower()
    return REASONS.get(reason, f"TLS failed: {words or error}")

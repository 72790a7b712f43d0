"""Certificate authorities of tests: what `dyn node cert` makes, and what it never would (expired, of no role)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from dynamo_cli import certs
from node.runtime.certificates import Tls, load_tls

YEAR = timedelta(days=365)


class Pair(NamedTuple):
    """A certificate, its key, and the CA that its holder trusts."""

    cert: Path
    key: Path
    ca: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """As options of `dyn` and `dyn node start`."""
        return "--tls-cert", str(self.cert), "--tls-key", str(self.key), "--tls-ca", str(self.ca)

    def tls(self, cluster: str = "c") -> Tls:
        """As a node speaks TLS with it, whatever it is."""
        return load_tls(cluster, *self)


class Authority:
    """A CA in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self.ca = certs.make(self._wanted("ca", "ca", "c", certs.CA_DAYS), folder, renew=False, now=certs.now()).cert

    def issue(
        self,
        role: str = "node",
        cluster: str = "c",
        *,
        days: int = 30,
        at: datetime | None = None,
        trusts: Authority | None = None,
    ) -> Pair:
        """A new certificate. `at` is when it was made; `trusts` another CA that its holder believes in."""
        self._count += 1
        wanted = self._wanted(role, f"{role}{self._count}", cluster, days)
        made = certs.make(wanted, self.folder, renew=False, now=at or certs.now())
        return Pair(made.cert, made.key, (trusts or self).ca)

    def expired(self, role: str = "node", cluster: str = "c") -> Pair:
        """A certificate that was good until yesterday."""
        return self.issue(role, cluster, days=364, at=certs.now() - YEAR)

    def web(self) -> Pair:
        """A certificate as a web server has it: good, but of no role in any cluster."""
        with patch.object(certs, "uri_of", return_value="https://example.org"):
            return self.issue()

    def _wanted(self, role: str, name: str, cluster: str, days: int) -> certs.Wanted:
        return certs.Wanted(role, name, cluster, (), days)

"""Certificates for tests: an authority of its own for each purpose, and PEM files made by it."""

import datetime as dt
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme

PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """One who signs certificates, which are written to a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._authority = trustme.CA(organization_name=name)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._authority.cert_pem.bytes())

    def issue(
        self, name: str, *, expired: bool = False, names: Sequence[str] = ("localhost", "127.0.0.1")
    ) -> Pair:
        """Make a certificate that is valid for these names."""
        made = self._authority.issue_cert(
            *names,
            common_name=name,
            not_before=PAST,
            not_after=PAST + dt.timedelta(days=30) if expired else None,
        )
        pair = Pair(self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key")
        pair.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        pair.key.write_bytes(made.private_key_pem.bytes())
        return pair

    def context(self, shown: Pair | None = None) -> ssl.SSLContext:
        """Make the context of an HTTP client that trusts this authority and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.file))
        if shown:
            context.load_cert_chain(shown.certificate, shown.key)
        return context

    def credentials(self, shown: Pair | None = None) -> grpc.ChannelCredentials:
        """Make the same for a gRPC client."""
        return grpc.ssl_channel_credentials(
            self.file.read_bytes(),
            shown.key.read_bytes() if shown else None,
            shown.certificate.read_bytes() if shown else None,
        )

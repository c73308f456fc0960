"""TLS on the two OTLP ports: the server's certificate, and the authority of client certificates if they are required.

The files are checked at the start, all errors at once. Later they are checked for every new connection, so a renewed
certificate is used without a restart. While new files are faulty, as in the middle of a change, the files before stay
in use. TLS 1.2 is the oldest version.
"""

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

from config.settings import Settings

log = structlog.get_logger()

_CERTIFICATE, _KEY, _CLIENT_CA = "TELEMETRY_TLS_CERTIFICATE", "TELEMETRY_TLS_KEY", "TELEMETRY_TLS_CLIENT_CA"


class TlsError(Exception):
    """The files cannot be used for TLS; the text lists every error with its remedy."""


@dataclass(frozen=True, slots=True)
class Files:
    """The paths of the PEM files."""

    certificate: Path
    """The server's certificate, followed by those that lead to its authority."""
    key: Path
    client_ca: Path | None
    """The authorities whose certificates clients must show; None: no certificate is required."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One set of files that fit together, as each transport wants it."""

    http: ssl.SSLContext
    grpc: grpc.ServerCertificateConfiguration


class Tls:
    """The certificate in use. Raises TlsError when it is built from bad files."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._seen = _versions(files)
        self._loaded = _load(files)

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of the gRPC server, which takes the current files for each handshake."""
        given = self._loaded

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            current = self._current()
            if current is given:
                return None
            given = current
            return current.grpc

        return grpc.dynamic_ssl_server_credentials(given.grpc, changed, self._files.client_ca is not None)

    def context(self) -> ssl.SSLContext:
        """Return the context of an HTTP server; each handshake is moved to the context of the current files."""

        def choose(handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            handshake.context = self._current().http

        context = self._loaded.http
        context.sni_callback = choose
        return context

    def _current(self) -> _Loaded:
        """Load the files again when they have changed; called for each new connection, from any thread."""
        with self._lock:
            versions = _versions(self._files)
            if versions != self._seen:
                self._seen = versions
                try:
                    self._loaded = _load(self._files)
                except TlsError as error:
                    log.warning(
                        "The TLS files changed and cannot be used; those before stay.", faults=str(error)
                    )
                else:
                    log.info("The TLS files changed; new connections use them.")
            return self._loaded


def _versions(files: Files) -> list[tuple[int, int, int] | None]:
    """Return numbers that change when a file is written or replaced."""
    versions: list[tuple[int, int, int] | None] = []
    for path in (files.certificate, files.key, files.client_ca):
        try:
            status = path.stat() if path else None
        except OSError:
            status = None
        versions.append((status.st_ino, status.st_mtime_ns, status.st_size) if status else None)
    return versions


def _load(files: Files) -> _Loaded:
    errors: list[str] = []
    certificate = _certificates(_CERTIFICATE, files.certificate, errors)
    key = _read(_KEY, files.key, errors)
    client_ca = _certificates(_CLIENT_CA, files.client_ca, errors) if files.client_ca else None
    if key and b"ENCRYPTED" in key:
        errors.append(
            f"{_KEY}: {files.key} is encrypted: decrypt it with `openssl pkey -in {files.key} -out FILE`,"
            " and let only the server's user read FILE"
        )
    if errors:
        raise TlsError("\n".join(errors))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        mismatch = isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH"
        wrong = f"is not the key of {files.certificate}" if mismatch else "is no private key in PEM"
        raise TlsError(
            f"{_KEY}: {files.key} {wrong}: name the key that the certificate was made with"
        ) from None
    _warn_of_dates(context, certificate)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)
    return _Loaded(
        context,
        grpc.ssl_server_certificate_configuration(
            [(key, certificate.encode())], client_ca.encode() if client_ca else None
        ),
    )


def _read(setting: str, path: Path, errors: list[str]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        errors.append(
            f"{setting}: {path} cannot be read ({error.strerror}): name a file that the server's user may read"
        )
        return b""


def _certificates(setting: str, path: Path, errors: list[str]) -> str:
    content = _read(setting, path, errors).decode("utf-8", "replace")
    if content:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
        except (ssl.SSLError, ValueError):
            errors.append(
                f"{setting}: {path} has no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----"
            )
    return content


def _warn_of_dates(context: ssl.SSLContext, certificate: str) -> None:
    """Log when the certificate has expired or is not valid yet: clients will refuse it.

    The standard library reads no dates from a file, but checks them in a handshake. So this makes one in memory, with a
    client that trusts this certificate itself.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    try:
        for side in (theirs, ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        log.warning(
            "Clients will refuse the TLS certificate; renew it.",
            setting=_CERTIFICATE,
            reason=error.verify_message,
        )


def tls_of(settings: Settings) -> Tls | None:
    """Return TLS as the settings ask for it; None without a certificate. Raises TlsError."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Tls(Files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca))

"""Bearer tokens that may send. Without any, all who reach the port may (on loopback only, see settings)."""

import hmac
from collections.abc import Sequence

from receiver.status import Reason, Rejected


class Tokens:
    """A set of accepted bearer tokens."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(token.encode() for token in tokens)

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def check(self, authorization: str | bytes | None) -> None:
        """Raise Rejected unless the Authorization header holds an accepted token; takes constant time."""
        if not self._tokens:
            return
        given = (
            authorization.encode("utf-8", "surrogateescape")
            if isinstance(authorization, str)
            else authorization
        )
        scheme, _, token = (given or b"").partition(b" ")
        # Every token is compared, so that time does not tell which one came near.
        accepted = [hmac.compare_digest(token.strip(), known) for known in self._tokens]
        if scheme.lower() != b"bearer" or not any(accepted):
            raise Rejected(
                Reason.UNAUTHENTICATED,
                "A bearer token that this server accepts is needed: set"
                " OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer <token> to one of TELEMETRY_INGEST_TOKENS.",
            )

"""Who may send, how fast, and who sent what.

A sender is known by its bearer token, which has a name; several tokens may share one. Tokens are compared in constant
time, before a request's body is read. Without tokens all who reach the port are one sender, `anonymous`. What a sender
may send in a second can be limited; past that it alone is told to try later.

Names come from the settings, so the metrics have as many of them as there are tokens; none holds a token.
"""

import hmac
from collections.abc import Sequence

from receiver.meters import Meters
from receiver.pipeline import Accept, Accepted
from receiver.rate import Rate
from receiver.signals import Signal
from receiver.status import Reason, Rejected, TryLater

ANONYMOUS = "anonymous"


class Sender:
    """One who may send."""

    def __init__(self, name: str, accept: Accept, meters: Meters, rate: Rate | None) -> None:
        self.name = name
        self._accept = accept
        self._rate = rate
        self._refused = {signal: meters.refused.labels(signal, Reason.RATE_LIMITED) for signal in Signal}
        self._bytes = {signal: meters.sender_bytes.labels(signal, name) for signal in Signal}
        self._records = {signal: meters.sender_records.labels(signal, name) for signal in Signal}

    def admit(self, signal: Signal) -> None:
        """Raise TryLater when the sender has sent more than it may; asked before a body is read."""
        if self._rate:
            self._hold_to_rate(signal, self._rate.wait_seconds())

    async def accept(self, signal: Signal, body: bytes) -> Accepted:
        """Store a request of this sender's, as `Pipeline.accept` does, and count it by the sender's name."""
        if self._rate:
            self._hold_to_rate(signal, self._rate.pay(len(body)))
        self._bytes[signal].inc(len(body))
        accepted = await self._accept(signal, body)
        self._records[signal].inc(accepted.records)
        return accepted

    def _hold_to_rate(self, signal: Signal, wait_seconds: int) -> None:
        if wait_seconds:
            self._refused[signal].inc()
            raise TryLater(
                Reason.RATE_LIMITED,
                "This token's senders sent more than they may; send again later. If it stays so, raise"
                " TELEMETRY_RATE_LIMIT_BYTES, or send less.",
                wait_seconds,
            )


class Senders:
    """All who may send. `bool` tells whether they must show a token."""

    def __init__(
        self, accept: Accept, tokens: Sequence[tuple[str, str]], meters: Meters, rate_limit_bytes: int | None
    ) -> None:
        """Take pairs of name and token, and the bytes a second that each name may send (None: any)."""
        names = dict.fromkeys(name for name, _ in tokens) or [ANONYMOUS]
        self._meters = meters
        self.all = {
            name: Sender(name, accept, meters, Rate(rate_limit_bytes) if rate_limit_bytes else None)
            for name in names
        }
        self._by_token = [(token.encode(), self.all[name]) for name, token in tokens]

    def __bool__(self) -> bool:
        return bool(self._by_token)

    def authenticate(self, signal: Signal, authorization: str | bytes | None) -> Sender:
        """Give the sender whose token an Authorization header holds; takes constant time.

        Raises Rejected without an accepted token.
        """
        if not self._by_token:
            return self.all[ANONYMOUS]
        given = (
            authorization.encode("utf-8", "surrogateescape")
            if isinstance(authorization, str)
            else authorization
        )
        scheme, _, token = (given or b"").partition(b" ")
        # Every token is compared, so that time does not tell which one came near.
        known = [sender for own, sender in self._by_token if hmac.compare_digest(token.strip(), own)]
        if scheme.lower() != b"bearer" or not known:
            self._meters.refused.labels(signal, Reason.UNAUTHENTICATED).inc()
            raise Rejected(
                Reason.UNAUTHENTICATED,
                "A bearer token that this server accepts is needed: set"
                " OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer <token> to one of TELEMETRY_INGEST_TOKENS.",
            )
        return known[0]

"""The senders: their tokens, how fast each may send, and how much each sent.

A sender is known by its bearer token, which has a name; several tokens may share one. Tokens are compared in constant
time, before a request's body is read. Without tokens every client that reaches the port is one sender, `anonymous`.
The bytes that a sender may send in a second can be limited; past that it alone is told to try later.

Names come from the settings, so the metrics have as many of them as there are tokens; none holds a token.
"""

import hmac
from collections.abc import Sequence
from functools import partial

from otlp.signals import Signal
from otlp.status import Failure, Reason, Rejected, TryLater
from receiver.metrics import Metrics
from receiver.pipeline import Accepted, Done, Take, awaited
from receiver.rate import Rate

ANONYMOUS = "anonymous"


class Sender:
    """One sender, of one name."""

    def __init__(self, name: str, take: Take, metrics: Metrics, rate: Rate | None) -> None:
        self.name = name
        self._name = name.encode()
        self._take = take
        self._rate = rate
        self._refused = {signal: metrics.refused.labels(signal, Reason.RATE_LIMITED) for signal in Signal}
        self._bytes = {signal: metrics.sender_bytes.labels(signal, name) for signal in Signal}
        self._records = {signal: metrics.sender_records.labels(signal, name) for signal in Signal}

    def admit(self, signal: Signal) -> None:
        """Raise TryLater when the sender has sent more than it may; asked before a body is read."""
        if self._rate:
            self._hold_to_rate(signal, self._rate.wait_seconds())

    async def accept(self, signal: Signal, body: bytes, connection: bytes) -> Accepted:
        """Store a request as `take` does; return once its records are safe. Raises its Failure."""
        return await awaited(partial(self.take, signal, body, connection))

    def take(self, signal: Signal, body: bytes, connection: bytes, done: Done) -> None:
        """Store a request of this sender's, as `Pipeline.take` does, and count it by the sender's name.

        `connection` is the address and port that it came from.
        """
        if self._rate:
            try:
                self._hold_to_rate(signal, self._rate.pay(len(body)))
            except TryLater as failure:
                done(failure)
                return
        self._bytes[signal].inc(len(body))
        self._take(signal, body, b"%b %b" % (self._name, connection), partial(self._counted, signal, done))

    def _counted(self, signal: Signal, done: Done, ended: Accepted | Failure) -> None:
        if isinstance(ended, Accepted):
            self._records[signal].inc(ended.records)
        done(ended)

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
    """All senders. `bool` says whether they must show a token."""

    def __init__(
        self,
        take: Take,
        tokens: Sequence[tuple[str, str]],
        metrics: Metrics,
        rate_limit_bytes: int | None,
    ) -> None:
        """Take pairs of name and token, and the bytes a second that each name may send (None: any)."""
        names = dict.fromkeys(name for name, _ in tokens) or [ANONYMOUS]
        self._metrics = metrics
        self.all = {
            name: Sender(name, take, metrics, Rate(rate_limit_bytes) if rate_limit_bytes else None)
            for name in names
        }
        self._by_token = [(token.encode(), self.all[name]) for name, token in tokens]

    def __bool__(self) -> bool:
        return bool(self._by_token)

    def authenticate(self, signal: Signal, authorization: str | bytes | None) -> Sender:
        """Return the sender whose token an Authorization header holds; takes constant time.

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
            self._metrics.refused.labels(signal, Reason.UNAUTHENTICATED).inc()
            raise Rejected(
                Reason.UNAUTHENTICATED,
                "A bearer token that this server accepts is needed: set"
                " OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer <token> to one of TELEMETRY_INGEST_TOKENS.",
            )
        return known[0]

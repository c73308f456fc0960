"""The web process's own metrics: calls of tools, questions to connected systems by their kind, and findings.

No label holds what a caller sent: tools and kinds of systems that there are not count as `other`. Findings are named
by a keyed hash, by their measure and by the dimension that they are about, never by what or whom.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.requests import Request
from starlette.responses import Response

from alerts.watch import Look
from connectors.asking import Outcome
from mcp_server.audit import Call

_MOST: Final = 100
"""Findings that are shown; those after them cost the least."""
_SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """The instruments, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter("telemetry_web_calls", "Calls of tools.", ["tool"], registry=self._registry)
        self._refusals = Counter(
            "telemetry_web_refusals", "Calls that were refused or failed, by code.", ["tool", "code"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "telemetry_web_call_seconds", "How long calls took.", ["tool"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._characters = Counter(
            "telemetry_web_answer_characters", "Characters of what was answered.", ["tool"],
            registry=self._registry,
        )  # fmt: skip
        self._cached = Counter(
            "telemetry_web_cached_answers", "Answers that were kept from an earlier question.", ["tool"],
            registry=self._registry,
        )  # fmt: skip

        self._questions = Counter(
            "telemetry_web_connector_questions", "Questions to connected systems: how they ended, and whether the"
            " answer was kept from an earlier one.", ["backend_type", "outcome", "cache"], registry=self._registry,
        )  # fmt: skip
        self._waited = Histogram(
            "telemetry_web_connector_seconds", "How long connected systems were waited for, kept answers left out.",
            ["backend_type"], buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip

        about = ["incident", "block", "kind", "dimension"]
        self._findings = Gauge(
            "telemetry_web_findings", "Findings that go on, each 1.", about, registry=self._registry
        )
        self._finding_usd = Gauge(
            "telemetry_web_finding_usd", "What a finding that goes on cost so far, in dollars.", about,
            registry=self._registry,
        )  # fmt: skip
        self._finding_minutes = Gauge(
            "telemetry_web_finding_minutes", "What a finding that goes on cost so far, in minutes.", about,
            registry=self._registry,
        )  # fmt: skip
        self._finding_since = Gauge(
            "telemetry_web_finding_since_timestamp_seconds", "When a finding that goes on began.", about,
            registry=self._registry,
        )  # fmt: skip
        self._due = Gauge(
            "telemetry_web_findings_due_timestamp_seconds", "When the next look for findings comes; 0 without one.",
            registry=self._registry,
        )  # fmt: skip
        self._failed_looks = Counter(
            "telemetry_web_findings_failures", "Looks for findings that failed.", registry=self._registry
        )
        self._alerts = Counter(
            "telemetry_web_alerts", "Messages to the webhook.", ["outcome"], registry=self._registry
        )

    def observe_findings(self, look: Look) -> None:
        """Show what a look for findings found. One that failed leaves what was known."""
        self._due.set(look.due)
        self._alerts.labels("sent").inc(look.sent.sent)
        self._alerts.labels("failed").inc(bool(look.sent.failure))
        if look.is_failed:
            self._failed_looks.inc()
            return
        each = (self._findings, self._finding_usd, self._finding_minutes, self._finding_since)
        for gauge in each:
            gauge.clear()
        on = [(one, name) for one, name in zip(look.findings, look.names, strict=True) if one.until is None]
        for one, name in on[:_MOST]:
            labels = (name, one.block.value, one.kind, one.scope.dimension)
            values = (1.0, one.usd, one.minutes, one.since.timestamp())
            for gauge, value in zip(each, values, strict=True):
                gauge.labels(*labels).set(value)

    def observe(self, call: Call) -> None:
        """Count one call."""
        self._calls.labels(call.tool).inc()
        self._seconds.labels(call.tool).observe(call.seconds)
        self._characters.labels(call.tool).inc(call.characters)
        if call.code:
            self._refusals.labels(call.tool, call.code).inc()
        if call.is_cached:
            self._cached.labels(call.tool).inc()

    def observe_question(self, outcome: Outcome) -> None:
        """Count one question to a connected system."""
        cache = "hit" if outcome.is_cached else "miss"
        self._questions.labels(outcome.backend_type, outcome.code or "ok", cache).inc()
        if not outcome.is_cached:
            self._waited.labels(outcome.backend_type).observe(outcome.seconds)

    async def scrape(self, _: Request) -> Response:
        """Answer Prometheus."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

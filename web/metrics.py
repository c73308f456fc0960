"""The web process's own metrics: calls of tools, and questions to connected systems by their kind.

No label holds what a caller sent: tools and kinds of systems that there are not count as `other`.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.requests import Request
from starlette.responses import Response

from connectors.asking import Outcome
from mcp_server.audit import Call

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

"""Requests as the transform takes them: each with the number of rows that it makes in a table."""

from collections.abc import Sequence

from otlp.signals import Signal, survey
from receiver.transform import Surveyed


def surveyed(table: str, bodies: Sequence[bytes]) -> list[Surveyed]:
    """Return those of the requests that have rows for the table."""
    signal = {"otel_traces": Signal.TRACES, "otel_logs": Signal.LOGS}.get(table, Signal.METRICS)
    counted = [(body, survey(signal, body).tables.get(table, 0)) for body in bodies]
    return [Surveyed(body, rows) for body, rows in counted if rows]

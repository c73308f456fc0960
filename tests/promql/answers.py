"""Prometheus' answers to the corpus: recorded, or of a real one where the environment names its program."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.promql.corpus import END, ERRORS, EXPRESSIONS, MOMENT, START, STEP
from tests.promql.prometheus import VARIABLE, answer, prometheus
from tests.promql.samples import BASE
from tests.server import ROOT

RECORDED = ROOT / "tests" / "data" / "promql" / "answers.json"
Answers = dict[str, dict[str, Any]]
SHAPES = RECORDED.with_name("shapes.json")
_PERIOD = {"start": BASE, "end": BASE + 6_000}
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("labels", {"match[]": ["queue_size", "cpu_limit_ratio"], **_PERIOD}),
    ("labels", {"match[]": "no_such_metric", **_PERIOD}),
    ("labels", _PERIOD),
    ("label/job/values", _PERIOD),
    ("label/__name__/values", _PERIOD),
    ("label/http_code/values", {"match[]": 'http_requests_total{job="shop"}', **_PERIOD}),
    ("label/no_such_label/values", _PERIOD),
    ("series", {"match[]": ["queue_size", 'http_requests_total{http_code="500"}'], **_PERIOD}),
    ("series", {"match[]": "no_such_metric", **_PERIOD}),
    ("series", _PERIOD),
    ("series", {"match[]": "sum(up)", **_PERIOD}),
    ("query", {"query": "queue_size", "time": "2026-01-01T12:40:00Z"}),
    ("query", {"query": "queue_size[2m]", "time": BASE + 2400.5}),
    ("query", {"query": "1 / 0", "time": BASE}),
    ("query", {"query": "vector(1e21) * 1e-30", "time": BASE}),
    ("query", {"query": "sum(", "time": BASE}),
    ("query", {"query": "queue_size", "time": "yesterday"}),
    ("query", {"time": BASE}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE + 600, "step": "1m30s"}),
    ("query_range", {"query": "1", "start": BASE, "end": BASE + 600, "step": 200}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE - 1, "step": 15}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE + 600, "step": 0}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE + 600, "step": "x"}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE + 60_000, "step": 1}),
    ("query_range", {"query": "queue_size[5m]", "start": BASE, "end": BASE + 600, "step": 60}),
    ("query_range", {"query": "queue_size", "start": BASE, "end": BASE + 600}),
)  # fmt: skip
"""Requests whose answers have Prometheus' shape, by path and parameters."""


def asked(url: str) -> Answers:
    """Return what a Prometheus answers to each expression, over the period and at the moment."""
    return {
        expression: {
            "range": answer(url, "query_range", query=expression, start=START, end=END, step=STEP),
            "instant": answer(url, "query", query=expression, time=MOMENT),
        }
        for expression in (*EXPRESSIONS, *ERRORS)
    }


def shaped(url: str) -> list[Any]:
    """Return what a Prometheus answers to each of REQUESTS."""
    return [answer(url, path, **parameters) for path, parameters in REQUESTS]


def shapes() -> list[Any]:
    """Return the recorded answers to REQUESTS."""
    found: list[Any] = json.loads(SHAPES.read_text())
    return found


def answers() -> Answers:
    """Return the answers to the whole corpus."""
    program = os.environ.get(VARIABLE)
    if not program:
        found: Answers = json.loads(RECORDED.read_text())
        return found
    with tempfile.TemporaryDirectory() as folder, prometheus(Path(program), Path(folder)) as url:
        return asked(url)

"""Tools over a system whose names, labels, lines and spans mean harm: bounded, visible, marked, and never obeyed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from access.answer import DATA
from access.budget import LEAST, MOST
from access.document import Document
from access.refusal import CHARACTERS, Refusal
from access.text import units
from clickhouse.engine import Engine
from connectors.entry import Draft
from connectors.tools.asker import Asker
from connectors.tools.compare_time_windows import compare_time_windows
from connectors.tools.correlate_metrics import correlate_metrics
from connectors.tools.detect_anomalies import detect_anomalies
from connectors.tools.discover import discover
from connectors.tools.get_service_metrics import get_service_metrics
from connectors.tools.get_traces import get_traces
from connectors.tools.investigate import investigate
from connectors.tools.list_services import list_services
from connectors.tools.names import WHAT
from connectors.tools.query_metrics import query_metrics
from connectors.tools.search_logs import search_logs
from tests.connectors.incident import TRACE, asker, asking
from tests.engine_store import EngineStore
from tests.hostile import HIDDEN, ORDERS, is_seen

HOUR = {"start": "11:00", "end": "12:00"}
QUERY = "container_cpu_usage_seconds_total"
TEXTS = [*(text for text in (*HIDDEN, *ORDERS) if "\ud800" not in text), "y" * 20_000]


def calls(one: Asker, text: str, size: int) -> list[Any]:
    """Return each tool's call over what the system has, and with the text as an argument."""
    more: dict[str, Any] = {"max_characters": size}
    return [
        query_metrics(one, QUERY, time_range=HOUR, **more),
        query_metrics(one, QUERY, time_range=HOUR, detail="points", **more),
        query_metrics(one, text, time_range=HOUR, **more),
        query_metrics(one, QUERY, filters={"pod": text}, time_range=HOUR, **more),
        search_logs(one, time_range=HOUR, context_lines=2, limit=1_000, **more),
        search_logs(one, text, time_range=HOUR, **more),
        search_logs(one, filters={"labels": {text: text}}, time_range=HOUR, **more),
        get_traces(one, filters={"service": "checkout"}, time_range=HOUR, detail="spans", limit=100, **more),
        get_traces(one, TRACE, **more),
        get_traces(one, text, **more),
        get_traces(one, filters={"tags": {text: text}}, time_range=HOUR, **more),
        list_services(one, **more),
        get_service_metrics(one, "checkout", time_range=HOUR, **more),
        get_service_metrics(one, text, time_range=HOUR, **more),
        detect_anomalies(one, QUERY, time_range=HOUR, **more),
        correlate_metrics(one, [{"query": QUERY, "name": text[:900]}], time_range=HOUR, **more),
        compare_time_windows(one, QUERY, time_range={"start": "11:25", "end": "11:35"}, **more),
        investigate(one, "checkout", "11:25", **more),
        *(discover(one, what, service="checkout", label="pod", **more) for what in WHAT),
        discover(one, "metrics", match=text, **more),
    ]


def strings(value: Any) -> Iterator[str]:
    """Yield all texts of an answer, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def judge(found: Any, size: int) -> None:
    """Hold an answer or a refusal to what every one promises."""
    text = found.as_json()
    sent = json.loads(text)
    if isinstance(found, Refusal):
        assert units(text) < CHARACTERS
        assert is_seen(text)
        return
    assert units(text) <= size
    assert [one for one in strings({**sent, "query_executed": ""}) if not is_seen(one)] == []
    has_rows = any(found.lists.values()) if isinstance(found, Document) else bool(sent["rows"])
    if has_rows:
        assert sent["content"] == DATA
    if sent["truncated"]:
        assert sent.get("hints") or sent.get("next_cursor")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [LEAST, MOST])
def test_no_tool_s_answer_is_over_budget_unescaped_or_unmarked(
    size: int, tmp_path: Path, engine: Engine
) -> None:
    """Each tool, over each text, within the smallest and the largest budget."""

    async def use() -> int:
        count = 0
        drafts = [
            Draft(f"shop-{number}", "shop", {"prefix": text.encode().hex()})
            for number, text in enumerate(TEXTS)
        ]
        for number, text in enumerate(TEXTS):
            folder = tmp_path / str(number)
            async with asking(folder, [drafts[number]]) as here:
                found = await asyncio.gather(
                    *calls(asker(here, EngineStore(engine)), text, size), return_exceptions=True
                )
            for one in found:
                if isinstance(one, BaseException) and not isinstance(one, Refusal):
                    raise one
                judge(one, size)
                count += 1
        return count

    assert asyncio.run(use()) == len(TEXTS) * 25

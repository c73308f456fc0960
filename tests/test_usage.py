"""When the metrics of use are read from the tables: while somebody scrapes them, and not else."""

import asyncio
from pathlib import Path
from unittest.mock import patch

from prometheus_client import CollectorRegistry

from access import usage
from access.usage import Rows, Usage, UsageMetrics
from tests.server import eventually

MINUTE = 0.02
WATCHED = 0.2


def test_the_tables_are_read_until_a_while_after_the_last_scrape(tmp_path: Path) -> None:
    """At the start, for the first scrape; from that on each minute; and again as soon as one comes back."""
    asked: list[str] = []

    def ask(sql: str) -> Rows:
        asked.append(sql)
        return [("cost", ["month"], float(len(asked)))]

    registry = CollectorRegistry()

    async def live() -> None:
        watched = Usage(ask, UsageMetrics(registry), 5.0, tmp_path)
        stopping = asyncio.Event()
        running = asyncio.ensure_future(watched.run(stopping))
        await asyncio.to_thread(eventually, lambda: len(asked) == 1, 20)
        await asyncio.sleep(10 * MINUTE)
        assert len(asked) == 1
        before = 1
        watched.scraped()
        await asyncio.to_thread(eventually, lambda: len(asked) > before + 2, 20)
        assert (registry.get_sample_value("telemetry_cost_usd", {"period": "month"}) or 0) > before
        while len(asked) > before:
            before = len(asked)
            await asyncio.sleep(WATCHED + 5 * MINUTE)
        stopping.set()
        await asyncio.wait_for(running, 10)

    with patch.object(usage, "REFRESH_SECONDS", MINUTE), patch.object(usage, "WATCHED_SECONDS", WATCHED):
        asyncio.run(live())

"""What the page says that the privacy rules did: what they left behind in stored records, by rule and attribute."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

from access.reading import Desk
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import tables
from web.page.filters import filters_of
from web.page.views import privacy_effects

NOW = datetime.now(UTC).replace(microsecond=0)
TEXTS = (
    "[REDACTED:email] wrote to [REDACTED:email] and [REDACTED:home]",
    "[REDACTED:[REDACTED:token]",
    "[REDACTED:email",
    "[REDACTED:] [REDACTED:UPPER] [REDACTED:a b]",
    "[redacted:email]",
    f"sha256:{'0a' * 32}",
    f"hmac-sha256:{'0a' * 32}",
    f"x sha256:{'0a' * 32}",
    "",
)


def test_marks_of_the_rules_are_counted_by_record(engine: Engine) -> None:
    """A rule once a value, however often it is in it; what only looks like a mark is none."""
    expected: Counter[tuple[str, str]] = Counter()
    for text in TEXTS:
        marks = {f"redacted: {rule}" for rule in re.findall(r"\[REDACTED:([a-z0-9_]{1,40})\]", text)}
        marks |= {"hashed"} if re.match(r"(?:hmac-)?sha256:[0-9a-f]{64}", text) else set()
        expected.update((mark, key) for mark in marks for key in ("one", "two"))
    assert len(expected) == 8
    about = {
        "start": f"{NOW - timedelta(hours=1):%Y-%m-%d %H:%M}",
        "end": f"{NOW + timedelta(hours=1):%Y-%m-%d %H:%M}",
    }
    with tables(engine):
        for text in TEXTS:
            engine.command(
                "INSERT INTO otel_logs (Timestamp, LogAttributes)"
                " SELECT now64(9) - 60, map('one', {text:String}, 'two', {text:String})",
                {"text": text},
            )
        reading = Desk(EngineStore(engine), limiter=None).reading("tester")
        answer = privacy_effects(reading, filters_of(about))
    assert {(what, key): records for what, key, records, _ in answer.rows} == expected

"""The questions of `queries/` and their headers, and what they answer on real requests."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access.questions import QuestionError, find, questions, read, when
from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter
from receiver.rules import Level, load_rules
from receiver.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.server import captures

NAMES = [question.name for question in questions()]
# The captures' events are of one day.
PERIOD = {"from": "2026-01-01 00:00:00", "to": "2027-01-01 00:00:00", "limit": "50"}


@pytest.fixture(scope="module")
def captured(engine: Engine) -> Engine:
    """Fill the log table with what real clients sent, and nothing else."""
    engine.command("TRUNCATE TABLE otel_logs")
    rules = load_rules(None, Level.strict)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 3650)
    writer = EmbeddedWriter(engine)
    for number, body in enumerate(captures("logs")):
        writer.insert("otel_logs", transform.run("otel_logs", [body]).data, f"captured {number}")
    return engine


def answer(engine: Engine, name: str) -> list[list[object]]:
    """Run a question over all that there is."""
    question = find(name)
    given = {key: value for key, value in PERIOD.items() if key in {one.name for one in question.parameters}}
    return engine.rows(question.sql, question.values(given))


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_what_the_question_gives(captured: Engine, name: str) -> None:
    """Its columns are those of the result, its example has them too, and its parameters are those of the SQL."""
    question = find(name)
    values = question.values({})
    described = captured.rows(
        f"SELECT * FROM ({question.sql}) LIMIT 0 FORMAT JSONCompactEachRowWithNames", values
    )
    assert described[0] == list(question.columns)
    assert list(question.example) == list(question.columns)
    assert question.question.endswith("?")
    assert all(f"{{{parameter.name}:" in question.sql for parameter in question.parameters)
    assert question.sql.count("{") - question.sql.split("*/")[0].count("{") >= len(question.parameters)


def test_errors_are_counted_by_category(captured: Engine) -> None:
    """The largest first, with their share, and the shares add up."""
    rows = answer(captured, "errors")
    assert {(row[0], int(str(row[1]))) for row in rows} == {
        ("tool Read TelemetrySafeError", 2),
        ("api 400", 1),
        ("api 529", 1),
        ("api_retries_exhausted", 1),
    }
    assert [row[2] for row in rows] == [40, 20, 20, 20]
    assert rows[-1][3] == 100
    assert "[REDACTED:email]" in str(rows[-1][6])


def test_tools_count_calls_and_failures(captured: Engine) -> None:
    """By the tool's name."""
    assert {str(row[0]): (int(str(row[1])), int(str(row[2]))) for row in answer(captured, "tools")} == {
        "Read": (4, 2),
        "Bash": (2, 0),
        "Write": (1, 0),
    }


def test_sessions_have_what_happened_in_them(captured: Engine) -> None:
    """One row each; the requests and the money are those that cost.sql counts."""
    sessions, cost = answer(captured, "sessions"), answer(captured, "cost")
    assert len(sessions) == 4
    assert sum(int(str(row[5])) for row in sessions) == sum(int(str(row[2])) for row in cost) == 10
    assert math.isclose(
        sum(float(str(row[10])) for row in sessions), sum(float(str(row[7])) for row in cost), abs_tol=1e-3
    )
    assert all(str(row[0]).count("-") == 4 for row in sessions)


def test_freshness_knows_what_arrives(captured: Engine) -> None:
    """A row a signal that has any."""
    (logs,) = [row for row in answer(captured, "freshness") if row[0] == "logs"]
    assert str(logs[1]).startswith("2026-")


def test_times_may_be_relative() -> None:
    """In UTC; what is no time is left alone."""
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert when("now", now) == "2026-03-01 12:30:00"
    assert when("1 day ago", now) == "2026-02-28 12:30:00"
    assert when("90 minutes ago", now) == "2026-03-01 11:00:00"
    assert when("2 weeks ago", now) == "2026-02-15 12:30:00"
    assert when("2026-01-01 00:00:00", now) == "2026-01-01 00:00:00"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """With what is."""
    with pytest.raises(QuestionError, match="There is no question nope; there are cost, errors"):
        find("nope")
    with pytest.raises(QuestionError, match=r"There is no question \.\./pyproject"):
        find("../pyproject")
    with pytest.raises(QuestionError, match="tools has no parameter days; it has from, to"):
        find("tools").values({"days": "1"})
    (tmp_path / "a.sql").write_text("SELECT 1")
    with pytest.raises(QuestionError, match=r"a\.sql does not begin with a header"):
        read(tmp_path / "a.sql")
    (tmp_path / "b.sql").write_text("/*\nquestion: What?\n*/\nSELECT 1")
    with pytest.raises(QuestionError, match=r"header of b\.sql lacks or misspells 'parameters'"):
        read(tmp_path / "b.sql")

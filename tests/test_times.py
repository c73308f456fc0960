"""Times as people and programs write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.answer import moment
from access.refusal import Code, Refusal
from access.times import period

NOW = datetime(2026, 11, 28, 10, 30, tzinfo=UTC)


def ends(start: Any, end: Any = None, **more: Any) -> tuple[str, str]:
    found = period(start, end, now=NOW, **more)
    return moment(found.start), moment(found.end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:20:00Z", "2026-11-22T10:20:00Z"),
        ("2026-11-22T10:20:00+02:00", "2026-11-22T08:20:00Z"),
        ("2026-11-22 10:20", "2026-11-22T10:20:00Z"),
        ("2026-11-22T10:20:00.250Z", "2026-11-22T10:20:00.250Z"),
        ("2026-11-22", "2026-11-22T00:00:00Z"),
        ("20261122", "2026-11-22T00:00:00Z"),
        ("1795342800", "2026-11-22T10:20:00Z"),
        (1795342800, "2026-11-22T10:20:00Z"),
        (1795342800.5, "2026-11-22T10:20:00.500Z"),
        ("1795342800000", "2026-11-22T10:20:00Z"),
        ("1795342800000000", "2026-11-22T10:20:00Z"),
        ("1795342800000000000", "2026-11-22T10:20:00Z"),
        ("1h", "2026-11-28T09:30:00Z"),
        ("90m", "2026-11-28T09:00:00Z"),
        ("1h30m", "2026-11-28T09:00:00Z"),
        ("30 minutes ago", "2026-11-28T10:00:00Z"),
        ("last 24 hours", "2026-11-27T10:30:00Z"),
        ("7 days ago", "2026-11-21T10:30:00Z"),
        ("2w", "2026-11-14T10:30:00Z"),
        ("now-30m", "2026-11-28T10:00:00Z"),
        ("now - 1h", "2026-11-28T09:30:00Z"),
        ("NOW-1H", "2026-11-28T09:30:00Z"),
        ("today", "2026-11-28T00:00:00Z"),
        ("yesterday", "2026-11-27T00:00:00Z"),
        ("yesterday 10:20", "2026-11-27T10:20:00Z"),
        ("today at 9:05:30", "2026-11-28T09:05:30Z"),
        ("10:20", "2026-11-28T10:20:00Z"),
        ("11:00", "2026-11-27T11:00:00Z"),
        ("10:20+02:00", "2026-11-28T08:20:00Z"),
        ("10:20 Europe/Berlin", "2026-11-28T09:20:00Z"),
        (None, "2026-11-21T10:30:00Z"),
    ],
    ids=str,
)
def test_a_beginning(text: Any, expected: str) -> None:
    """In every form; the end is the present."""
    assert ends(text) == (expected, "2026-11-28T10:30:00Z")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-20", "2026-11-21", ("2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z")),
        ("yesterday", "yesterday", ("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z")),
        ("yesterday", "today", ("2026-11-27T00:00:00Z", "2026-11-29T00:00:00Z")),
        ("10:20", "11:00", ("2026-11-28T10:20:00Z", "2026-11-28T11:00:00Z")),
        ("yesterday 23:00", "1:00", ("2026-11-27T23:00:00Z", "2026-11-28T01:00:00Z")),
        ("2h", "1h", ("2026-11-28T08:30:00Z", "2026-11-28T09:30:00Z")),
        ("1h", "now+10m", ("2026-11-28T09:30:00Z", "2026-11-28T10:40:00Z")),
    ],
)
def test_an_end(start: str, end: str, expected: tuple[str, str]) -> None:
    """A day includes itself, and a clock's time is the first after the beginning."""
    assert ends(start, end) == expected


def test_times_without_a_zone_are_read_in_the_one_given() -> None:
    """Also where its clocks changed: both midnights are Berlin's."""
    assert ends("2026-10-24", "2026-10-25", zone="Europe/Berlin") == (
        "2026-10-23T22:00:00Z",
        "2026-10-25T23:00:00Z",
    )
    assert ends("10:20", zone="America/New_York") == ("2026-11-27T15:20:00Z", "2026-11-28T10:30:00Z")
    assert ends("2026-11-22T10:20:00Z", zone="Asia/Kolkata")[0] == "2026-11-22T10:20:00Z"


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("", None, "start_date"),
        ("soon", None, "start_date"),
        ("25:00", None, "start_date"),
        ("2026-02-30", None, "start_date"),
        ("9999-12-31", None, "start_date"),
        ("0001-01-01T00:00:00+10:00", None, "start_date"),
        ("-5", None, "start_date"),
        (float("inf"), None, "start_date"),
        (float("nan"), None, "start_date"),
        ("99999999999999999999999999", None, "start_date"),
        ("now-999999999999999999d", None, "start_date"),
        ("1h; DROP TABLE x", None, "start_date"),
        ("1" * 5_000, None, "start_date"),
        ("1h", "never", "end_date"),
        ("now", "1h", "end_date"),
        ("1h", "1h", "end_date"),
    ],
)
def test_what_is_no_period_is_refused(start: Any, end: Any, field: str) -> None:
    """With the field at fault and the forms that are taken."""
    with pytest.raises(Refusal) as caught:
        ends(start, end)
    assert (caught.value.code, caught.value.field) == (Code.INVALID_ARGUMENT, field)
    assert "7 days ago" in caught.value.as_dict()["accepted"]
    assert len(caught.value.as_json()) < 2_000


def test_a_reversed_period_is_refused_with_the_right_one() -> None:
    """Ready to be asked."""
    with pytest.raises(Refusal) as caught:
        ends("now", "2026-11-27T00:00:00Z")
    assert caught.value.suggestions == ("start_date=2026-11-27T00:00:00Z, end_date=2026-11-28T10:30:00Z",)


def test_a_period_that_is_too_long_is_refused_with_its_halves() -> None:
    """Each of which is allowed."""
    with pytest.raises(Refusal) as caught:
        ends("2026-10-10", "2026-11-27T12:00:01Z")
    assert caught.value.code == Code.RANGE_TOO_LONG
    assert caught.value.suggestions == (
        "start_date=2026-10-10T00:00:00Z, end_date=2026-11-03T06:00:01Z",
        "start_date=2026-11-03T06:00:01Z, end_date=2026-11-27T12:00:01Z",
    )
    with pytest.raises(Refusal, match="ask for 12 parts"):
        ends("2026-01-01", "now")


@given(st.floats(30.0001, 400), st.floats(0, 90))
def test_each_part_of_a_period_that_is_too_long_is_allowed(days: float, ago: float) -> None:
    """And together they are the period."""
    finish = NOW - timedelta(days=ago)
    start, end = moment(finish - timedelta(days=days)), moment(finish)
    with pytest.raises(Refusal) as caught:
        ends(start, end)
    parts = [dict(pair.split("=") for pair in part.split(", ")) for part in caught.value.suggestions]
    for part in parts:
        ends(part["start_date"], part["end_date"])
    assert parts[0]["start_date"] == start
    assert [part["end_date"] for part in parts[:-1]] == [part["start_date"] for part in parts[1:]]
    if len(parts) < 8:
        assert parts[-1]["end_date"] == end


def test_an_unknown_zone_is_refused_with_the_nearest() -> None:
    """In the argument, and behind a clock's time."""
    with pytest.raises(Refusal) as caught:
        ends("1h", zone="Europe/Berln")
    assert caught.value.nearest[0] == "Europe/Berlin"
    with pytest.raises(Refusal, match="no time zone"):
        ends("10:20 Europe/Berln")


@given(st.text(max_size=80))
def test_any_text_is_a_period_or_refused(text: str) -> None:
    """Nothing else is raised."""
    try:
        found = period(text, None, now=NOW)
    except Refusal:
        return
    assert found.start < found.end <= NOW

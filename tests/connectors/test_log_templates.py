"""Patterns of log lines: what varies is replaced, what does not stays, and two windows are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.analysis.log_templates import Trend, compare, template, templates
from connectors.contract import LogLine, Severity


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /api/users/42 took 12.5ms", "GET <path> took <num>ms"),
        ("user 17 logged in from 10.0.0.12:5432", "user <num> logged in from <ip>"),
        ("2026-11-28T10:20:30.123Z ERROR timeout after 30s", "<time> ERROR timeout after <num>s"),
        ("order 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed", "order <uuid> failed"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736 at 0xdeadbeef", "trace <hex> at <hex>"),
        ("pod web-7d4b9c6f5-x2k8p evicted", "pod <id> evicted"),
        ('cannot open "a \\"b\\" c": No such file', "cannot open <str>: No such file"),
        ("can't connect to db, it's down", "can't connect to db, it's down"),
        ("see https://example.com/a?b=1 for help", "see <url> for help"),
        ("mail to jane.doe@example.com bounced", "mail to <email> bounced"),
        ("read C:\\logs\\app.log and ./data/x.csv", "read <path> and <path>"),
        ("\x1b[31mred\x1b[0m   alert", "red alert"),
        ("http2 and utf8 stay, sha256 too", "http2 and utf8 stay, sha256 too"),
        ("cache hit ratio 97%", "cache hit ratio <num>%"),
        ("took 1,234,567 steps and -3.5e-7 left", "took <num> steps and <num> left"),
        ("from 2001:db8:0:0:0:0:0:1 port 443", "from <ip> port <num>"),
    ],
)
def test_what_varies_is_replaced(line: str, expected: str) -> None:
    """Each kind of thing that varies has its placeholder."""
    assert template(line) == expected


@given(st.text(max_size=1_500))
def test_any_text_has_a_template(text: str) -> None:
    """Whatever the text, its pattern has no spaces in a row and is the same each time."""
    found = template(text)
    assert found == template(text)
    assert "  " not in found


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_lines_that_differ_in_numbers_are_one(first: int, second: int) -> None:
    """Two numbers make one pattern."""
    assert template(f"processed {first} rows in {second} ms") == template(
        f"processed {second} rows in {first} ms"
    )


def line(message: str, at: int = 0, severity: Severity | None = None, service: str = "") -> LogLine:
    return LogLine(at, message, severity, service)


def test_lines_are_counted_by_template() -> None:
    """Each pattern has its count, its first and last time, severities, services and the newest line."""
    found = templates(
        [
            line("user 1 failed", 30, Severity.ERROR, "auth"),
            line("user 22 failed", 10, Severity.ERROR, "auth"),
            line("user 3 failed", 20, Severity.WARN, "login"),
            line("started", 5),
        ]
    )
    first, second = found
    assert (first.template, first.count, first.first_ns, first.last_ns) == ("user <num> failed", 3, 10, 30)
    assert (first.severities, first.services, first.example) == (
        ("error", "warn"),
        ("auth", "login"),
        "user 1 failed",
    )
    assert (second.template, second.count) == ("started", 1)


def test_windows_are_compared_by_rate() -> None:
    """New and gone patterns are told, and those whose rate changed; the windows may differ in length."""
    before = [
        *[line(f"tick {n}") for n in range(600)],
        *[line(f"retry {n}") for n in range(20)],
        line("old one"),
    ]
    now = [
        *[line(f"tick {n}") for n in range(100)],
        *[line(f"retry {n}") for n in range(60)],
        *[line(f"boom {n}") for n in range(5)],
    ]
    found = {one.template: one for one in compare(before, now, 3_600, 600)}
    assert {text: one.trend for text, one in found.items()} == {
        "boom <num>": Trend.NEW,
        "retry <num>": Trend.MORE,
        "tick <num>": Trend.SAME,
        "old one": Trend.GONE,
    }
    assert found["retry <num>"].ratio == pytest.approx(18)
    assert found["boom <num>"].ratio is None
    assert found["boom <num>"].q_value < 0.001
    assert found["old one"].q_value > 0.5
    assert next(iter(found)) == "boom <num>"

"""Redaction in the native pass, held to `privacy/search.py` by bytes and counts; skipped where it is not installed."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import re2
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks import corpus
from clickhouse.engine import Engine
from privacy import search
from privacy.rules import Level, Pattern, Rules, load_rules
from privacy.sanitizer import Sanitizer
from receiver.native import NativeTransform, installed
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.listening import Listening
from tests.requests import surveyed

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("telemetry_native") is None, reason="the distribution native/ is not installed"
)
_STRICT = load_rules(None, Level.strict)


class _Redaction:
    """The redaction of both under one set of rules."""

    def __init__(self, rules: Rules) -> None:
        self._names = [pattern.name for pattern in rules.patterns]
        self._search = search.Search(rules.patterns)
        self._pass: Any = NativeTransform(rules, Scrub(Sanitizer(rules, None)), "", 90)._pass

    def native(self, prefix: str, text: str) -> tuple[str, Mapping[str, int]] | None:
        """Return what the pass makes of a text, and its counts; None where it asks Python."""
        made = self._pass.redact(prefix.encode(), text.encode())
        if made is None:
            return None
        counts = {name: count for name, count in zip(self._names, made[1], strict=True) if count}
        return made[0].decode(), counts

    def expected(self, prefix: str, text: str) -> tuple[str, Mapping[str, int]]:
        """Return what Python makes of a text, and its counts."""
        counts: dict[str, int] = {}
        return self._search.redact(prefix, text, counts), counts

    def hold(self, prefix: str, text: str) -> bool:
        """Assert that the pass makes what Python makes, or asks it. Return whether it made it."""
        made = self.native(prefix, text)
        assert made is None or made == self.expected(prefix, text)
        return made is not None


@pytest.fixture(scope="module")
def strict() -> _Redaction:
    return _Redaction(_STRICT)


def _words(text: str) -> list[str]:
    return text.split()


_PRIVATE = (
    *_words(r"""
    jane@example.com git@github.com no-reply@x.io a@b.service x@v1.2 x@1x.com ann@a.png jane@laptop:~/x
    10.1.2.3 127.0.0.1 255.255.255.0 10.0.0.0 300.1.2.3 01.2.3.4 v1.2.3.4 so.1.2.3.4 10.1.2.3.4 10.1.2.3-rc
    lib-10.1.2.3 Chrome/120.1.2.3 db/10.1.2.3:5432 patch10.1.2.3 /home/jane /home/user /Users/Bob ~jane/ ~123/
    a~jane/ ./home/x https://x.io/home/y example.com:80/Users/y C:/Users/ann /home/$USER C:\Users\ann\Users\bob\
    projects/-home-jane-work "-Users-bob AKIAIOSFODNN7EXAMPLE ASIAABCDEFGHIJKLMNOP xoxb-1234567890
    ghp_a1a1a1a1a1a1a1a1a1a1a1a1 ghp_xxxxxxxxxxxxxxxxxxxxxxxx sk-ant-api03-abcd sk-ant-your-key-here-1
    eyJhbGciOiJI.eyJzdWIiOi.sig AIzaBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB AIzaBBBB Set-Cookie=x=y;z xLTAIa1b2c3d4e5f6g7h8
    4111111111111111 415-555-0123 fe80::1 password token= DE89370400440532013000 de:ad:be:ef:00:01
    """),
    *("jane at example dot com", "foo (at) example.com", "Jane Doe <jane@example.com>", "version 1.2.3.4"),
    *("C:\\Users\\ann x\\", "dob 1.2.1990", "cookie: a=b", "secret: ", "Bearer ", "curl -u x:y "),
)
_AROUND = (
    *_words(
        "[REDACTED REDACTED:email] :email] \\n [1;32m \x1b[31m %40 &# // 1 m n _ - + = \" ' \\ é \u017f \u212a"
    ),
    *_words("""the file does not exist . : / ~ ( ] < {"a": ["b", "k":[ """),
    *(" ", " ", ": ", ", ", "; ask ", "\n-", "\n+", "\t", "\0", '{"a": ', '["b", '),
)
_KEYS = (*_words('note error db.password a@example.com x"y k: path~ /home/jane m - é'), "")


def _cut(text: str, at: int, size: int, put: str) -> str:
    at %= len(text) + 1
    return text[:at] + put + text[at + size :]


def _texts() -> st.SearchStrategy[str]:
    """Draw texts of fragments that match, nearly match, abut, overlap, repeat, and stand beside what parts them."""
    private = st.sampled_from(_PRIVATE)
    edits = st.sampled_from(("", "x", ".", "-"))
    nearly = st.builds(_cut, private, st.integers(0, 60), st.integers(0, 2), edits)
    around = st.sampled_from(_AROUND) | st.sampled_from([chr(code) for code in range(128)])
    return st.lists(private | nearly | around, min_size=1, max_size=10).map("".join)


def test_any_text_is_redacted_as_python_does(strict: _Redaction) -> None:
    """Behind any key and behind none: the same bytes and counts, unless Python is asked."""
    done = 0

    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([*(f"{key}=" for key in _KEYS), ""]), _texts())
    def hold(prefix: str, text: str) -> None:
        nonlocal done
        done += strict.hold(prefix, text)

    hold()
    assert done > 200


def _expressions() -> st.SearchStrategy[str]:
    """Draw expressions of the parts that mean the same to both engines, and of some that do not."""
    parts = _words(
        r"""
        a b k s A _ 1 - \. \n \x41 \x{5f} é ] ab ~ [ab] [^a] [^\s] [\s_] [\w-] []a] [^]a] [a\-k] [~~a] [&&a] [[a]
        [\x00-@\[-`{-~\x{80}-\x{10ffff}] [é-ü] [\p{L}1] [^\p{L}] [^\x{17f}] [\x{17f}] . \d \s \S \w \p{N} \b \b ^ $
        \W [\D] \B [[:alpha:]]
        """
    )
    repeats = st.sampled_from(_words("* + ? *? +? ?? {2} {1,3} {0,2} {2,} {1,3}? {0}"))
    openings = st.sampled_from(_words("( (?: (?: (?i: (?-i: (?s:"))

    def grown(some: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        group = st.builds(
            lambda opening, inside: f"{opening}{'|'.join(inside)})",
            openings,
            st.lists(some, min_size=1, max_size=3),
        )
        repeated = st.builds(lambda inside, repeat: f"(?:{inside}){repeat}", some, repeats)
        return group | repeated | st.lists(some, min_size=2, max_size=4).map("".join)

    flags = st.sampled_from(("", "", "(?i)", "(?is)"))
    return st.builds("".join, st.tuples(flags, st.recursive(st.sampled_from(parts), grown, max_leaves=9)))


def _understood(regex: str) -> bool:
    try:
        return not re2.search(regex, "")
    except re2.error:
        return False


@pytest.mark.slow
def test_any_pattern_is_found_where_re2_finds_it() -> None:
    """Patterns that users could write, two at a time: those that are searched for in the pass match as in RE2."""
    done = 0
    alphabet = "abksAKS_1x -=./[]\n\t~&z\0\x7f\f\v\r:{@`"

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(_expressions(), min_size=2, max_size=2),
        st.lists(st.text(alphabet, min_size=1, max_size=16), min_size=10, max_size=20),
        st.sampled_from(("", "a=", "k b=", "x_=")),
    )
    def hold(regexes: list[str], texts: list[str], prefix: str) -> None:
        nonlocal done
        assume(all(_understood(regex) and re2.compile(regex).groups < 2 for regex in regexes))
        patterns = tuple(Pattern(f"p{at}", regex, None, None) for at, regex in enumerate(regexes))
        both = _Redaction(replace(_STRICT, patterns=patterns))
        done += sum(both.hold(prefix, text) for text in texts)

    hold()
    assert done > 500


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Overloaded: contact jane@example.com", "Overloaded: contact [REDACTED:email]"),
        (
            "/home/jane/a.py; ask bob@corp.example",
            "/home/[REDACTED:home_directory]/a.py; ask [REDACTED:email]",
        ),
        ("from 10.1.2.3 to db/10.1.2.4:5432", "from [REDACTED:ipv4] to db/[REDACTED:ipv4]:5432"),
        ("delete AKIAIOSFODNN7EXAMPLE", "delete [REDACTED:aws_access_key]"),
        (f"as ghp_{'a1' * 12}", "as [REDACTED:github_token]"),
        ("git@github.com and Chrome/120.1.2.3 at 12:30", "git@github.com and Chrome/120.1.2.3 at 12:30"),
    ],
)
def test_usual_texts_are_redacted_in_the_pass(strict: _Redaction, text: str, redacted: str) -> None:
    """Addresses, folders and tokens: Python is not asked, and would have said the same."""
    assert (redacted, strict.expected("note=", text)[1]) == strict.native("note=", text)
    assert redacted == strict.expected("note=", text)[0]


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("note=", "é jane@example.com"),
        ("é=", "jane@example.com"),
        ("note=", "jane@example.com and [REDACTED:email]"),
        ("note=", "jane%40example.com"),
        ("note=", "\x1b[31mjane@example.com"),
        ("note=", "-jane@example.com"),
        ("note=", f"jane@example.com{'.' * 1004}"),
        ("note=", "jane@example.com " * 17),
        ("note=", f"{'/home/ab ' * 12}{'x' * 900}"),
        ("note=", "call +44 20 7946 0958 or jane@example.com"),
        ("note=", "password=hunter2hunter2"),
        ("db.password=", "jane@example.com"),
        ("cookie=", "theme=dark"),
        ("note=", '{"key": AKIAIOSFODNN7EXAMPLE}'),
        ("note=", "router-10.1.2.3"),
        ("note=", ""),
    ],
)
def test_unusual_texts_are_left_to_python(strict: _Redaction, prefix: str, text: str) -> None:
    """Long, in other letters, folded, marked, full of matches, of another check, or begun in their key."""
    assert strict.native(prefix, text) is None


def test_a_pattern_of_a_user_is_searched_for_in_the_pass_where_it_means_the_same() -> None:
    """A plain one is replaced; one with parts that the engines read in two ways is left to Python, and it alone."""
    plain, other = Pattern("ticket", r"\bJIRA-([0-9]{3,})", None), Pattern("odd", r"odd\W+x", None)
    both = _Redaction(replace(_STRICT, patterns=(plain, other)))
    assert both.native("note=", "see JIRA-1234") == ("see JIRA-[REDACTED:ticket]", {"ticket": 1})
    assert both.native("note=", "see JIRA-1234 odd x") is None


def test_a_text_of_the_pass_meets_no_limit_of_pythons() -> None:
    """Its bytes and matches at most are fewer than Python looks at without redacting the rest as a whole."""
    native = installed()
    assert native.MAX_PASSES == search.MAX_PASSES
    assert native.MOST_MATCHES <= search.MAX_MATCHES
    assert native.MOST_MATCHES * native.MOST_BYTES <= search.MAX_REFUSED_SHARE * 4096
    around = max(search.SCANNED_BY.values())
    assert native.MOST_MATCHES * (native.MOST_BYTES + around) <= search.MAX_SCANNED
    assert native.MOST_BYTES <= search.MAX_SET


def _logs(texts: Sequence[str]) -> bytes:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for text in texts:
        value = AnyValue(string_value=text)
        records.add(body=value, attributes=[KeyValue(key=key, value=value) for key in ("note", "error")])
    return request.SerializeToString()


def test_a_batch_is_redacted_and_counted_as_by_the_statements(engine: Engine) -> None:
    """Bodies, attributes and error texts, which are cut behind their redaction, and each time a text comes again."""
    scrub = Scrub(Sanitizer(_STRICT, None))
    texts = [*_PRIVATE, *(f"{one} {'x' * 120} {other}" for one, other in pairwise(_PRIVATE)), *_PRIVATE[:9]]
    requests = surveyed("otel_logs", [_logs(texts)])
    expected = Transform(engine, _STRICT, scrub, "", 90).run("otel_logs", requests)
    actual = NativeTransform(_STRICT, scrub, "", 90).run("otel_logs", requests)
    assert bytes(expected.data) == bytes(actual.data)
    assert expected.tally.redactions == actual.tally.redactions


@pytest.mark.parametrize(("table", "make"), [("otel_traces", corpus.traces), ("otel_logs", corpus.logs)])
def test_python_is_not_asked_for_what_claude_code_usually_sends(table: str, make: Any) -> None:
    """Sessions with addresses, folders and keys are redacted without a question."""
    scrub = Listening(Sanitizer(_STRICT, None))
    made = NativeTransform(_STRICT, scrub, "", 90).run(table, surveyed(table, [make(300, 7)]))
    assert scrub.asked == []
    assert {"email", "ipv4", "aws_access_key"} <= set(made.tally.redactions)


def test_a_batch_that_needs_much_is_left_to_python(engine: Engine) -> None:
    """Past some bytes that were searched, Python is asked, whose time for a batch is bounded; the rows are the same."""
    scrub = Listening(Sanitizer(_STRICT, None))
    texts = [f"{number} {' '.join(['10.1.2.3'] * 16)}{' x' * 350}" for number in range(1500)]
    requests = surveyed("otel_logs", [_logs(texts)])
    actual = NativeTransform(_STRICT, scrub, "", 90).run("otel_logs", requests)
    assert 0 < len(scrub.asked) < 3 * len(texts)
    expected = Transform(engine, _STRICT, scrub, "", 90).run("otel_logs", requests)
    assert bytes(expected.data) == bytes(actual.data)
    assert expected.tally.redactions == actual.tally.redactions == {"ipv4": 3 * 16 * len(texts)}


def _examples() -> Iterator[str]:
    for path in sorted((Path(__file__).parent / "data").rglob("*")):
        if path.is_file():
            yield from path.read_text("utf-8", "ignore").splitlines()


def test_texts_of_the_examples_are_redacted_as_python_does(strict: _Redaction) -> None:
    """Every line of what is kept for the tests."""
    assert sum(strict.hold("note=", line) for line in _examples()) > 0

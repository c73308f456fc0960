"""Texts in queries stay texts: whatever they hold, the query that is built says what the request said."""

import contextlib
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.alternatives import alternatives, clauses, is_in
from connectors.contract import BackendError, LogsRequest, TracesRequest
from connectors.log_documents import ASKED, Fields, filters
from connectors.logql import Known, log_queries, name_of, selector
from connectors.quoting import literal, quoted
from connectors.traceql import search
from tests.connectors import logql_reader, traceql_reader
from tests.connectors.subject import WINDOW

NASTY = [
    '"', "\\", "`", "\n", "\r", "\x00", "}", "{", "|", "=", "~", "#", "(", ")", "*", "?", "OR", " ", "\u2028", "é",
    "\U0001f600", "\ud800", "a", "0", "$", "%", "\ufeff", "\x7f", "\\u0022", "\\x22", "//", "&&", "or", "and",
]  # fmt: skip
texts = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(NASTY), max_size=12).map("".join))
some = texts.filter(bool)


def as_sent(text: str) -> str:
    """Return a text as UTF-8 can have it."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@given(texts)
def test_a_quoted_text_is_one_literal(text: str) -> None:
    """Go reads back the same text, and nothing is left of it."""
    token = quoted(text)
    assert re.fullmatch(r'"(?:[^"\\\n]|\\.)*"', token)
    assert logql_reader.unquoted(token) == as_sent(text)
    assert token.encode()


@given(some, some, some, some, some, some)
def test_logql_cannot_be_broken_out_of(
    service: str, namespace: str, pod: str, value: str, trace: str, regex: str
) -> None:
    """Each matcher and each filter reads back as what was asked, and there are no others."""
    request = LogsRequest(
        WINDOW,
        service=service,
        namespace=namespace,
        pod=pod,
        labels={"zone": value},
        trace_id=trace,
        regex=literal(regex),
    )
    known = Known(frozenset({"service_name", "namespace", "zone"}))
    in_text, by_metadata = (logql_reader.read(query) for query in log_queries(request, known))
    assert isinstance(in_text, logql_reader.LogQuery)
    assert isinstance(by_metadata, logql_reader.LogQuery)
    expected = [("service_name", "=", service), ("namespace", "=", namespace), ("zone", "=", value)]
    for query in (in_text, by_metadata):
        assert [(one.name, one.operator, one.value) for one in query.matchers] == [
            (name, operator, as_sent(text)) for name, operator, text in expected
        ]
    assert in_text.filters == [("|~", as_sent(literal(regex))), ("|=", as_sent(trace))]
    assert by_metadata.filters == [("|~", as_sent(literal(regex))), ("!=", as_sent(trace))]
    line = f"before {as_sent(regex)} {as_sent(trace)} after"
    assert in_text.passes({"k8s_pod_name": as_sent(pod)}, line)
    assert not in_text.passes({"k8s_pod_name": as_sent(pod) + "x"}, line)


@given(texts)
def test_words_select_the_lines_that_have_them(text: str) -> None:
    """A query's filters and the words of the text agree on a line of these words and on another."""
    try:
        wanted = alternatives(as_sent(text))
        (query,) = log_queries(LogsRequest(WINDOW, text=as_sent(text)), Known(frozenset({"app"})))
    except BackendError:  # too many words
        return
    found = logql_reader.read(query)
    assert isinstance(found, logql_reader.LogQuery)
    assert len(found.filters) == len(clauses(wanted))
    for line in ("nothing of it", *(" ".join(words) for words in wanted)):
        assert found.passes({}, line) == is_in(line, wanted)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), texts, max_size=4))
def test_a_streams_selector_reads_back(labels: dict[str, str]) -> None:
    """For the lines before and after one."""
    query = selector({**labels, "app": "x"})
    found = logql_reader.read(query)
    assert isinstance(found, logql_reader.LogQuery)
    expected = {name: as_sent(value) for name, value in {**labels, "app": "x"}.items()}
    assert {one.name: one.value for one in found.matchers} == expected


@given(texts)
def test_a_labels_name_is_a_name_or_refused(name: str) -> None:
    """It is not quoted, and so must not be able to be anything else."""
    with contextlib.suppress(BackendError):
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name_of(name))


@given(some, some, some, some)
def test_traceql_cannot_be_broken_out_of(service: str, operation: str, tag: str, value: str) -> None:
    """Each comparison reads back as what was asked, and there are no others."""
    query = traceql_reader.read(search(TracesRequest(WINDOW, service, operation, tags={"k." + tag: value})))
    service, operation, value = (as_sent(one) for one in (service, operation, value))
    compared = [one for one in query.compared if isinstance(one[2], str)]
    assert compared[:2] == [("resource.service.name", "=", service), ("name", "=", operation)]
    assert compared[2][1:] == ("=", value)
    assert len(compared) == 3
    values = traceql_reader.Values(
        {"name": operation}, {"service.name": service}, {as_sent("k." + tag): value}
    )
    assert query.matches(values)
    assert not query.matches(traceql_reader.Values({"name": operation}, {"service.name": service}, {}))


@given(texts, some)
def test_a_document_query_has_texts_as_values_alone(text: str, value: str) -> None:
    """The query of any text has the form of a plain one with as many words: no name of it is of the text."""
    types = {name: frozenset({"keyword"}) for name in ASKED} | {"message": frozenset({"text"})}
    request = LogsRequest(
        WINDOW, text=text, service=value, query=value, labels={"zone": value}, trace_id=value
    )
    found = names_of(filters(request, Fields({**types, "zone": frozenset({"keyword"})}), "@timestamp"))
    plain = LogsRequest(
        WINDOW, text="a OR b c" if text else "", service="s", query="q", labels={"zone": "z"}, trace_id="t"
    )
    assert found <= names_of(
        filters(plain, Fields({**types, "zone": frozenset({"keyword"})}), "@timestamp")
    ) | {"match_none"}


def names_of(value: Any) -> set[str]:
    """Return the names of all objects within a JSON value."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in names_of(one)}
    return {name for one in value for name in names_of(one)} if isinstance(value, list) else set()

"""Documents keep what answers promise: within the budget, visible, marked as data, and saying what was left out."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.answer import DATA, Answer
from access.budget import DEFAULT, LEAST, MOST
from access.document import Document, fit, length
from access.text import units
from tests.hostile import LARGE, ORDERS, cells, is_seen, texts

nested = st.recursive(
    cells,
    lambda inner: st.one_of(st.lists(inner, max_size=8), st.dictionaries(texts, inner, max_size=8)),
    max_leaves=20,
)
items = st.one_of(
    st.lists(st.dictionaries(st.sampled_from(("message", "labels", "values", "spans")), nested), max_size=12),
    st.tuples(
        st.dictionaries(st.sampled_from(("message", "labels")), nested, min_size=1), st.integers(1, 400)
    ).map(lambda pair: [pair[0]] * pair[1]),
)
documents = st.builds(
    Document,
    st.fixed_dictionaries({"logs": items}, optional={"patterns": items}),
    st.dictionaries(st.sampled_from(("returned_count", "total_count", "connection", "trace")), nested),
    st.builds(
        Answer,
        finding=texts,
        has_more=st.booleans(),
        query_executed=texts,
        hints=st.lists(texts, max_size=4).map(tuple),
        notes=st.lists(texts, max_size=4).map(tuple),
    ),
)


def judge(document: Document, characters: int) -> dict[str, Any]:
    """Hold a document, as it is sent, to what every answer promises; return it."""
    text = document.as_json()
    assert units(text) <= characters
    sent: dict[str, Any] = json.loads(text)
    assert units(json.dumps(sent, ensure_ascii=False, separators=(",", ":"))) <= characters
    assert [one for one in _texts({**sent, "query_executed": ""}) if not is_seen(one)] == []
    if any(document.lists.values()):
        assert sent["content"] == DATA
        # No item hides behind another on one long line.
        assert len(text.splitlines()) >= max(len(one) for one in document.lists.values())
    if sent["truncated"]:
        assert sent.get("hints") or sent.get("next_cursor")
    return sent


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in (name, *_texts(item))]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


@settings(max_examples=60, deadline=None)
@given(document=documents, characters=st.sampled_from((LEAST, 8_000, DEFAULT, MOST)))
def test_any_document_keeps_the_promises(document: Document, characters: int) -> None:
    """Whatever it holds, however deep."""
    judge(fit(document, characters, lambda count: f"cursor-{count}" if count else None), characters)


def test_items_without_room_are_left_for_the_cursor() -> None:
    """The hint says how many; the field of their number says how many are there."""
    lines = [{"message": "x" * 100, "number": number} for number in range(1_000)]
    fitted = fit(Document({"logs": lines}, {"returned_count": 1_000}), LEAST, lambda count: f"cursor-{count}")
    sent = judge(fitted, LEAST)
    count = len(sent["logs"])
    assert 15 < count < 60
    assert sent["logs"] == lines[:count]
    assert (sent["returned_count"], sent["next_cursor"], sent["has_more"]) == (count, f"cursor-{count}", True)
    assert sent["hints"] == [
        f"{count} of 1,000 logs have room: pass next_cursor as cursor to go on after these."
    ]


def test_what_has_room_is_sent_as_it_is() -> None:
    """Unknown values are null, and nothing is said to be left out."""
    document = Document({"traces": [{"a": [1, 2]}]}, {"total_count": None}, Answer(query_executed="up"))
    assert json.loads(fit(document).as_json()) == {
        "traces": [{"a": [1, 2]}],
        "total_count": None,
        "content": DATA,
        "has_more": False,
        "truncated": False,
        "query_executed": "up",
    }
    assert length(document) == len(document.as_json())


@pytest.mark.parametrize("text", [LARGE, *ORDERS])
def test_long_texts_and_lists_within_an_item_are_cut_rather_than_left_out(text: str) -> None:
    """One item of megabytes is there, with the length that its text had."""
    item = {
        "message": text,
        "spans": [{"name": text}] * 5_000,
        "labels": {f"{number}": text for number in range(5_000)},
    }
    sent = judge(fit(Document({"traces": [item]}), LEAST), LEAST)
    assert set(sent["traces"][0]) == {"message", "spans", "labels"}
    assert sent["truncated"] is True

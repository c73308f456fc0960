"""Model prices: the file, the table, and the question that compares them with the costs that clients report."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from access.questions import find
from clickhouse.prices import BUNDLED, PricesError, load_prices, read_prices
from tests.events import Record, Tables, event, logs

NOW = round(time.time()) - 3600.0


@pytest.fixture
def store(database: Tables) -> Tables:
    database.clear()
    load_prices(database.engine, read_prices())
    return database


def write(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


def asked(store: Tables) -> list[dict[str, Any]]:
    question = find("prices")
    return store.dicts(question.sql, **question.values({}))


def request(model: str, at: float = NOW, **more: Any) -> Record:
    given: dict[str, Any] = {
        "cost_usd": 0.5, "input_tokens": 1000, "output_tokens": 2000, "cache_read_tokens": 40_000,
        "cache_creation_tokens": 3000,
    }  # fmt: skip
    return event(at, "api_request", model=model, **given | more)


def test_the_bundled_prices_are_unambiguous_and_dated() -> None:
    """One price for a model, a speed, a size and a day; where they come from, and of when, is said."""
    rows = [price.row for price in read_prices()]
    assert len({row[:4] for row in rows}) == len(rows) > 20
    head = BUNDLED.read_text().partition("prices:\n")[0]
    assert "https://platform.claude.com/docs/en/about-claude/pricing" in head
    assert "October 2026" in head


def test_bundled_cache_prices_are_those_of_the_inputs() -> None:
    """Writing for five minutes costs 1.25 times the input, for an hour twice: a slip of the pen would show."""
    exceptions = {"claude-3-haiku"}
    for price in read_prices():
        if price.model not in exceptions:
            assert Decimal(str(price.cache_write_5m)) == Decimal(str(price.input)) * Decimal("1.25"), price
            assert Decimal(str(price.cache_write_1h)) == Decimal(str(price.input)) * 2, price
        assert price.cache_read < price.input < price.output


def test_prices_are_loaded_once_and_again_when_they_differ(store: Tables, tmp_path: Path) -> None:
    """The table holds what the file says, and nothing else."""
    bundled = read_prices()
    assert not load_prices(store.engine, bundled)
    own = write(
        tmp_path,
        "prices: [{model: own-*, input: 1, output: 2, cache_write_5m: 3, cache_write_1h: 4, cache_read: 5}]",
    )
    assert load_prices(store.engine, read_prices(own))
    assert store.rows("SELECT * FROM model_prices") == [["own-%", "", 0, "1970-01-01", 1, 2, 3, 4, 5]]
    assert load_prices(store.engine, bundled)
    assert store.rows("SELECT count() FROM model_prices") == [[len(bundled)]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "prices: [{model: a, input: 1}]",
            "entry 1, output: is missing; entry 1, cache_write_5m: is missing",
        ),
        ("prices: [{model: a, cost: 1}]", "entry 1, cost: is not known here"),
        ("prices: [7]", "entry 1, all of it: must be a mapping of names to values"),
        (
            "prices: [{model: a, input: -1, output: .nan, cache_write_5m: x, cache_write_1h: 1, cache_read: 1}]",
            "input: must be at least 0; entry 1, output: must be a finite number",
        ),
        ("rates: []", "it has no list under the key `prices`"),
        ("prices: [", "it is not YAML"),
    ],
)
def test_faults_are_all_named_with_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    """A file with any error is refused whole."""
    with pytest.raises(PricesError) as caught:
        read_prices(write(tmp_path, text))
    assert message in str(caught.value)
    assert "set TELEMETRY_PRICES to another one" in str(caught.value)


def test_a_missing_file_is_named() -> None:
    """With the remedy."""
    with pytest.raises(
        PricesError, match=r"/nowhere/prices.yaml cannot be used: it cannot be read \(No such file"
    ):
        read_prices(Path("/nowhere/prices.yaml"))


def test_reported_and_recomputed_cost_stand_side_by_side(store: Tables) -> None:
    """By hand: 1000 * 5 + 2000 * 25 + 40000 * 0.5 + 3000 * 6.25 = 93750 millionths; 10 and not 6.25 for an hour."""
    store.store("otel_logs", logs([request("claude-opus-4-8", speed="normal")]))
    assert asked(store) == [
        {
            "model": "claude-opus-4-8", "speed": "normal", "requests": 1, "reported_usd": 0.5, "unreported": 0,
            "recomputed_usd": 0.0938,
            "difference_percent": -81.24, "if_cached_for_1h_usd": 0.105, "unpriced": 0, "cache_creation_tokens": 3000,
            "assumed_tokens": 3000,
        }
    ]  # fmt: skip


def test_an_unknown_price_is_unknown(store: Tables) -> None:
    """Neither nothing nor that of a model with a similar name; a speed without a price is unknown too."""
    store.store(
        "otel_logs",
        logs([
            request("claude-opus-4-9"), request("claude-opus-5-6"), request("gpt-6"),
            request("claude-opus-4-8", speed="fast"),
        ]),
    )  # fmt: skip
    found = {(row["model"], row["speed"]): (row["recomputed_usd"], row["unpriced"]) for row in asked(store)}
    assert found == {
        ("claude-opus-4-9", ""): (None, 1),
        ("claude-opus-5-6", ""): (None, 1),
        ("gpt-6", ""): (None, 1),
        ("claude-opus-4-8", "fast"): (None, 1),
    }


def test_a_models_other_names_are_its_own(store: Tables) -> None:
    """As providers write it, with a date, with a long context."""
    names = (
        "claude-opus-4-5", "claude-opus-4-5-20251101", "claude-opus-4-5[1m]", "claude-opus-4-5@20251101",
        "us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic/claude-opus-4-5-latest",
    )  # fmt: skip
    store.store("otel_logs", logs([request(name) for name in names]))
    (row,) = asked(store)
    assert (row["model"], row["requests"], row["unpriced"]) == ("claude-opus-4-5", len(names), 0)


def test_five_minutes_and_an_hour_are_priced_apart_where_they_are_sent(store: Tables) -> None:
    """1000 * 5 + 2000 * 25 + 40000 * 0.5 + 1000 * 6.25 + 2000 * 10 = 101250 millionths."""
    told = {"cache_creation_5m_tokens": 1000, "cache_creation_1h_tokens": "2000"}
    store.store("otel_logs", logs([request("claude-opus-5", **told)]))
    (row,) = asked(store)
    assert (row["recomputed_usd"], row["if_cached_for_1h_usd"], row["assumed_tokens"]) == (0.1013, 0.1013, 0)


def test_prices_are_those_of_the_day_and_of_the_prompts_size(store: Tables) -> None:
    """The cache of one model became cheaper on a day; another costs more for long prompts, every token."""
    before = datetime(2026, 10, 6, 23, 59, tzinfo=UTC).timestamp()
    after = datetime(2026, 10, 7, 0, 1, tzinfo=UTC).timestamp()
    none = {"input_tokens": 0, "output_tokens": 0, "cache_creation_tokens": 0}
    sent = [
        request("claude-sonnet-5-5", before, **none | {"cache_read_tokens": 10**6}),
        request("claude-sonnet-5-5", after, **none | {"cache_read_tokens": 10**6}),
        request("claude-haiku-5-5", NOW, **none | {"cache_read_tokens": 100_000, "output_tokens": 10**6}),
        request("claude-haiku-5-5", NOW, **none | {"cache_read_tokens": 100_001, "output_tokens": 10**6}),
    ]
    question = find("prices")
    amounts = []
    for record in sent:
        store.clear()
        store.store("otel_logs", logs([record]))
        (row,) = store.dicts(question.sql, **question.values({"from": "2026-01-01 00:00:00"}))
        amounts.append(row["recomputed_usd"])
    assert amounts == [0.2, 0.1, 0.501, 2.505]


def test_own_prices_apply_where_they_are_more_exact(store: Tables, tmp_path: Path) -> None:
    """A pattern for all, and a model of one's own with a speed."""
    rates = "output: 0, cache_write_5m: 0, cache_write_1h: 0, cache_read: 0"
    own = write(
        tmp_path,
        f"prices: [{{model: '*', input: 1, {rates}}}, {{model: my_model, input: 2, {rates}}},"
        f" {{model: my_model, speed: fast, input: 3, {rates}}}]",
    )
    load_prices(store.engine, read_prices(own))
    million = {"input_tokens": 10**6}
    sent = [
        request("else", **million),
        request("my_model", **million),
        request("my_model", speed="fast", **million),
    ]
    store.store("otel_logs", logs([*sent, request("myXmodel", **million)]))
    found = {(row["model"], row["speed"]): row["recomputed_usd"] for row in asked(store)}
    assert found == {("else", ""): 1, ("my_model", ""): 2, ("my_model", "fast"): 3, ("myxmodel", ""): 1}

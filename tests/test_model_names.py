"""One name for a model: the spellings, and that Python and SQL agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickhouse.engine import Engine
from clickhouse.migrations import SCHEMA
from clickhouse.model_names import canonical, sql
from clickhouse.prices import read_prices
from tests.events import event, logs, tables

KNOWN = {price.model for price in read_prices()}
SPELLINGS = {
    "claude-sonnet-4-5": (
        "claude-sonnet-4.5", "claude-4-5-sonnet", "claude-4.5-sonnet", "Claude Sonnet 4.5", "CLAUDE-SONNET-4-5",
        "claude_sonnet_4_5", "claude-sonnet4.5", "claude-sonnet-4-5[1m]", "claude-sonnet-4-5-latest",
        "claude-sonnet-4-5-20250929", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5-2025-09-29",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4.5:beta",
        "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "vertex_ai/claude-sonnet-4-5@default", "databricks-claude-sonnet-4-5", "claude-sonnet-4-5-20250929[1m]",
        " claude-sonnet-4.5 ", "claude-sonnet-4-5-20250929-thinking", "bedrock/converse/claude-sonnet-4-5-1m",
    ),
    "claude-sonnet-4": ("claude-4-sonnet", "claude-4.0-sonnet", "claude-sonnet-4-0", "claude-sonnet-4@20250514"),
    "claude-3-5-sonnet": (
        "claude-3-5-sonnet-v2@20241022", "anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3.5-sonnet",
        "claude-sonnet-3.5", "claude3.5-sonnet", "Claude 3.5 Sonnet",
    ),
    "claude-3-opus": ("claude-3-opus@20240229", "claude-opus-3", "claude-3.0-opus", "claude-3-opus-latest"),
}  # fmt: skip
CASES = [(spelt, name) for name, spellings in SPELLINGS.items() for spelt in (name, *spellings)]
OTHERS = (
    "claude-opus-4-9",
    "claude-opus-4-6-fast",
    "claude-sonnet",
    "sonnet",
    "gpt-4o-2024-08-06",
    "gpt-5.1",
    "",
)


@pytest.mark.parametrize(("spelt", "name"), CASES)
def test_a_models_spellings_are_one_name(spelt: str, name: str) -> None:
    """By providers, gateways and people; the name is one that has a price."""
    assert canonical(spelt) == name
    assert name in KNOWN


def test_another_model_is_left_another() -> None:
    """A speed, a version that is not known and a family without one have no other model's name."""
    assert [canonical(name) for name in OTHERS] == list(OTHERS)


@given(
    st.lists(
        st.sampled_from(
            [*"-._ @[]:/*()49", "claude", "Sonnet", "opus", "3", "4.5", "20250929", "2025-09-29", "v2", "latest", "1m",
             "anthropic", "é", "gpt", "thinking"]
        ),
        max_size=9,
    ).map("".join)
)  # fmt: skip
def test_a_name_is_its_own_name(text: str) -> None:
    """Applied twice it changes nothing, so that prices may be written either way."""
    once = canonical(text)
    assert canonical(once) == once


def test_sql_says_the_same(engine: Engine) -> None:
    """Of every spelling, and of texts that are no model's name."""
    parts = (
        "claude",
        "-",
        "Sonnet",
        "4",
        ".",
        "5",
        "@",
        "v2",
        " ",
        "[1m]",
        "é",
        "20250929",
        ":",
        "/",
        "\\",
        "'",
    )
    odd = ["".join(parts[(at * step) % len(parts)] for at in range(1, 9)) for step in range(1, 16)]
    names = [*(spelt for spelt, _ in CASES), *OTHERS, *odd]
    found = engine.rows(
        f"SELECT {sql('name')} FROM (SELECT arrayJoin({{names:Array(String)}}) AS name)", {"names": names}
    )
    assert [row[0] for row in found] == [canonical(name) for name in names]


def test_the_tables_have_these_rules() -> None:
    """A change of the rules needs a new migration: a released one is not edited."""
    texts = [path.read_text() for path in sorted(SCHEMA.glob("*.sql"))]
    for expression in ("model", "priced_model"):
        assert any(sql(expression) in text for text in texts)


def test_every_spelling_is_priced(engine: Engine) -> None:
    """A request without a cost is priced by its tokens; of a model without a price the cost stays unknown."""
    tokens = {"input_tokens": 1_000_000, "output_tokens": 100_000}
    names = [*(spelt for spelt, _ in CASES), *OTHERS]
    with tables(engine) as store:
        records = [
            event(1_790_000_000 + at, "api_request", model=name, **tokens) for at, name in enumerate(names)
        ]
        store.store("otel_logs", logs(records))
        found = store.rows("SELECT cost_source, cost_nanos FROM telemetry_events ORDER BY timestamp")
        dollars = {"claude-3-opus": 22.5}
        assert found == [
            *(["recomputed", round(dollars.get(name, 4.5) * 1e9)] for _, name in CASES),
            *(["unknown", None] for _ in OTHERS),
        ]

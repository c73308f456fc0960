"""Names, literals and parameters, as the engine itself reads them."""

import json

import pytest

from clickhouse.engine import Engine
from clickhouse.quoting import identifier, literal, parameter

ODD = ["plain", "with `ticks`", "back\\slash", "'quoted' \"twice\"", "; DROP"]


def test_a_parameter_is_what_the_engine_reads() -> None:
    """A text is escaped once, an array's texts are quoted."""
    assert parameter("a\tb\\") == "a\\tb\\\\"
    assert parameter(["it's", "b\\"]) == "['it\\'s', 'b\\\\']"
    assert parameter(True) == "true"


@pytest.mark.parametrize("name", ODD)
def test_an_identifier_is_one_name_whatever_it_holds(engine: Engine, name: str) -> None:
    """A quoted name is taken as it is."""
    row = engine.query(f"SELECT 1 AS {identifier(name)}", None, "JSONEachRow")
    assert json.loads(row) == {name: 1}


@pytest.mark.parametrize("text", ODD)
def test_a_literal_is_one_text_whatever_it_holds(engine: Engine, text: str) -> None:
    """A quoted text is taken as it is, and so is a number."""
    assert engine.rows(f"SELECT {literal(text)}, {literal(-7)}") == [[text, -7]]

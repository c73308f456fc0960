"""docs/decoding.md: the engine gives each value on the page for the page's own bytes and expressions."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from clickhouse.engine import Engine, memory_file
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import FOLDER, Transform
from tests.requests import surveyed

PAGE = (Path(__file__).parent.parent / "docs" / "decoding.md").read_text()
SENT = [
    KeyValue(key="model", value=AnyValue(string_value="opus")),
    KeyValue(key="tokens", value=AnyValue(int_value=1234567890)),
    KeyValue(key="fast", value=AnyValue(bool_value=True)),
    KeyValue(key="usd", value=AnyValue(double_value=0.25)),
    KeyValue(key="tags", value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")]))),
]
_FUNCTIONS = ("031_otlp_varint", "032_otlp_kind", "033_otlp_entries")
_LINE = re.compile(r"^ ?(\d+)  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?=  )", re.MULTILINE)


def tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield each table of the page that has expressions: its headings, and its rows without backticks."""
    for table in re.findall(r"^\| name \|.*\n(?:\|.*\n)+", PAGE, re.MULTILINE):
        heads, _, *rows = [_cells(line) for line in table.splitlines()]
        yield heads, rows


def _cells(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line[1:-1].split("|")]


@pytest.fixture(scope="module")
def transform(engine: Engine) -> Transform:
    """Create the SQL functions under rules that name no key."""
    rules = replace(load_rules(None, Level.strict), safe_keys=frozenset())
    return Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)


def test_the_bytes_are_those_of_the_attributes() -> None:
    """The page's hex is how protobuf encodes the five attributes, and each line has its offset."""
    data = b""
    for offset, line in _LINE.findall(PAGE):
        assert int(offset) == len(data), line
        data += bytes.fromhex(line)
    assert data == Resource(attributes=SENT).SerializeToString()


def test_each_expression_gives_what_the_page_says(engine: Engine, transform: Transform) -> None:
    """Every filled cell is the engine's value of its row's expression for its column's attribute."""
    assert transform
    pairs = {one.key: one.SerializeToString().hex() for one in SENT}
    compared, known = 0, dict[str, str]()
    for heads, rows in tables():
        for name, expression, *cells in rows:
            known[name] = expression
            defined = ", ".join(f"({value}) AS {one}" for one, value in known.items())
            for key, cell in zip(heads[2:], cells, strict=True):
                if cell:
                    written = (
                        f"concat('0x', lower(hex({name})))" if cell.startswith("0x") else f"toString({name})"
                    )
                    sql = f"WITH unhex({{pair:String}}) AS pair, {defined} SELECT {written}"
                    assert engine.rows(sql, {"pair": pairs[key]}) == [[cell]], f"{name} of {key}"
                    compared += 1
    assert compared == 57


def test_each_expression_is_the_codes_own() -> None:
    """The functions' files have every expression of the page, except spaces and line breaks."""
    code = "".join((FOLDER / "functions" / f"{name}.sql").read_text() for name in _FUNCTIONS)
    steps = {name: expression for _, rows in tables() for name, expression, *_ in rows}
    for inner, outer in (("pairs_of_bytes", "halves"), ("halves", "number")):
        steps[outer] = steps[outer].replace(inner, f"{steps[inner]} AS {inner}", 1)
    bare = _without_spaces(code.replace("(read).", ""))
    assert [name for name, expression in steps.items() if _without_spaces(expression) not in bare] == []


def _without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_the_map_is_stored_as_the_page_says(engine: Engine, transform: Transform) -> None:
    """The last table is what the whole transform makes of these attributes."""
    lines = PAGE.partition("## What is stored")[2].splitlines()
    heads, _, values = [_cells(line) for line in lines if line.startswith("|")]
    request = ExportTraceServiceRequest()
    request.resource_spans.add(resource=Resource(attributes=SENT)).scope_spans.add().spans.add()
    block = transform.run("otel_traces", surveyed("otel_traces", [request.SerializeToString()]))
    with memory_file(block.data) as path:
        made = engine.rows("SELECT ResourceAttributes FROM file({path:String}, 'Native')", {"path": path})
    assert made == [[dict(zip(heads, values, strict=True))]]

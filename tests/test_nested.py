"""Nested values as private JSON."""

from collections import Counter

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.nested import javascript, text_of
from tests.reference import javascript_number


@pytest.fixture(scope="module")
def sanitizer() -> Sanitizer:
    return Sanitizer(load_rules(None, Level.strict), None)


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def array(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def pairs(**values: AnyValue) -> AnyValue:
    return AnyValue(kvlist_value=_pairs(list(values.items())))


def _pairs(items: list[tuple[str, AnyValue]]) -> KeyValueList:
    return KeyValueList(values=[KeyValue(key=key, value=value) for key, value in items])


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (100000.0, "100000"),
        (123456789012345680.0, "123456789012345680"),
        (1e20, "100000000000000000000"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (-2.5e-7, "-2.5e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2.0**53, "9007199254740992"),
    ],
)
def test_a_double_is_printed_as_javascript_prints_it(number: float, printed: str) -> None:
    """ECMA-262, Number::toString: shortest digits, an exponent only outside of 1e-6 to 1e21."""
    assert javascript(number) == printed
    assert javascript_number(number) == printed


def test_every_power_of_ten_agrees_with_the_reference() -> None:
    """The product's short way and the reference's way from the standard print the same."""
    digits = ("1", "1.25", "9.99", "-1", "-7.0000001")
    numbers = [float(f"{mantissa}e{power}") for power in range(-30, 30) for mantissa in digits]
    assert [javascript(number) for number in numbers] == [javascript_number(number) for number in numbers]


def test_every_kind_inside_an_array_is_rendered(sanitizer: Sanitizer) -> None:
    """Compact JSON, bytes in base64, NaN and infinities as words, absent values as null."""
    value = array(
        text("plain"), text('<q> "& \\ é\n'), AnyValue(bool_value=True), AnyValue(int_value=-(2**63)),
        AnyValue(double_value=1e21), AnyValue(double_value=0.5), AnyValue(double_value=float("nan")),
        AnyValue(double_value=float("inf")), AnyValue(double_value=float("-inf")),
        AnyValue(bytes_value=b"\0\xff"), AnyValue(), array(), pairs(),
    )  # fmt: skip
    expected = (
        r'["plain","<q> \"& \\ é\n",true,-9223372036854775808,1e+21,0.5,'
        r'"NaN","Infinity","-Infinity","AP8=",null,[],{}]'
    )
    assert text_of(value, "any", sanitizer, Counter()) == expected


def test_keys_are_sorted_at_every_depth(sanitizer: Sanitizer) -> None:
    """Equal values give equal text, in any order of sending."""
    value = pairs(b=AnyValue(int_value=1), a=pairs(z=AnyValue(int_value=2), y=AnyValue(int_value=3)))
    assert text_of(value, "any", sanitizer, Counter()) == '{"a":{"y":3,"z":2},"b":1}'


def test_each_pair_is_treated_by_its_own_key(sanitizer: Sanitizer) -> None:
    """Inside a value the rules hold as they do outside: hashed, safe, excerpted, redacted."""
    counts: Counter[str] = Counter()
    value = pairs(
        prompt=text("write a poem"),
        model=text("claude-opus-4-8"),
        error=text("no such file\nsecond line"),
        note=text("ask jane.doe@example.com"),
        deeper=pairs(command=array(text("rm"), AnyValue(int_value=1))),
    )
    assert text_of(value, "any", sanitizer, counts) == (
        f'{{"deeper":{{"command":"{sanitizer.hashed(chr(91) + chr(34) + "rm" + chr(34) + ",1]")}"}},'
        f'"error":"{sanitizer.excerpt("no such file" + chr(10) + "second line")}",'
        f'"model":"claude-opus-4-8","note":"{sanitizer.redact("ask jane.doe@example.com", Counter())}",'
        f'"prompt":"{sanitizer.hashed("write a poem")}"}}'
    )
    assert counts == {"email": 1}


def test_an_array_s_texts_are_treated_by_the_key_that_it_stands_under(sanitizer: Sanitizer) -> None:
    """A list of safe values is left alone, any other is redacted text by text."""
    value = array(text("jane.doe@example.com"), array(text("bob@corp.example")))
    counts: Counter[str] = Counter()
    rendered = text_of(value, "contacts", sanitizer, counts)
    assert "jane" not in rendered
    assert "bob" not in rendered
    assert counts == {"email": 2}
    assert text_of(value, "model", sanitizer, Counter()) == '["jane.doe@example.com",["bob@corp.example"]]'


def test_under_a_hashed_key_the_hash_of_the_whole_stands_for_it(sanitizer: Sanitizer) -> None:
    """Equal arguments can be joined on, and cannot be read."""
    value = pairs(path=text("/home/jane"), depth=AnyValue(int_value=2))
    assert text_of(value, "tool_input", sanitizer, Counter()) == sanitizer.hashed(
        '{"depth":2,"path":"/home/jane"}'
    )
    assert text_of(AnyValue(int_value=7), "prompt", sanitizer, Counter()) == sanitizer.hashed("7")


def test_a_key_that_holds_an_address_is_redacted(sanitizer: Sanitizer) -> None:
    """A client may put content into keys too."""
    value = AnyValue(kvlist_value=_pairs([("jane.doe@example.com", AnyValue(int_value=1))]))
    assert "jane" not in text_of(value, "any", sanitizer, Counter())

"""Nested values as private JSON."""

import base64
import hashlib
import json
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
    """Compact JSON, bytes without a text as their hash, NaN and infinities as words, absent values as null."""
    value = array(
        text("plain"), text('<q> "& \\ é\n'), AnyValue(bool_value=True), AnyValue(int_value=-(2**63)),
        AnyValue(double_value=1e21), AnyValue(double_value=0.5), AnyValue(double_value=float("nan")),
        AnyValue(double_value=float("inf")), AnyValue(double_value=float("-inf")),
        AnyValue(bytes_value=b"\0\xff"), AnyValue(), array(), pairs(),
    )  # fmt: skip
    expected = (
        r'["plain","<q> \"& \\ é\n",true,-9223372036854775808,1e+21,0.5,'
        r'"NaN","Infinity","-Infinity",'
        f'"2 bytes, sha256:{hashlib.sha256(bytes([0, 255])).hexdigest()}",null,[],{{}}]'
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
    """Each is redacted; a safe key says nothing of the texts in a list."""
    value = array(text("jane.doe@example.com"), array(text("bob@corp.example")))
    counts: Counter[str] = Counter()
    rendered = text_of(value, "contacts", sanitizer, counts)
    assert "jane" not in rendered
    assert "bob" not in rendered
    assert counts == {"email": 2}
    assert text_of(value, "model", sanitizer, Counter()) == rendered
    assert text_of(array(text("end_turn")), "model", sanitizer, Counter()) == '["end_turn"]'
    assert text_of(text("jane@example.com"), "model", sanitizer, Counter()) == "jane@example.com"
    nested = pairs(
        model=pairs(**{"jane.doe@example.com": text("bob@corp.example")}), type=text("a@b.example")
    )
    expected = '{"model":{"[REDACTED:email]":"[REDACTED:email]"},"type":"a@b.example"}'
    assert text_of(nested, "any", sanitizer, Counter()) == expected


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


GONE = "[REDACTED:password]"


def whole(number: int) -> AnyValue:
    return AnyValue(int_value=number)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("api_key", pairs(value=text("hunter2x")), {"value": GONE}),
        ("api_key", pairs(a=pairs(b=array(text("hunter2x"), whole(7391826)))), {"a": {"b": [GONE, GONE]}}),
        ("", pairs(password=pairs(key=pairs(x=text("hunter2x")))), {"password": {"key": {"x": GONE}}}),
        ("", pairs(password=text("<password>"), on=AnyValue(bool_value=True)), {"password": "<password>", "on": True}),
        ("", pairs(pin_password=whole(73918264)), {"pin_password": GONE}),
        (
            "env", array(pairs(name=text("DB_PASSWORD"), value=text("hunter2x"))),
            [{"name": "DB_PASSWORD", "value": GONE}],
        ),
        (
            "", array(pairs(key=text("db.password"), value=pairs(stringValue=text("hunter2x")))),
            [{"key": "db.password", "value": {"stringValue": GONE}}],
        ),
        ("env", array(pairs(name=text("EDITOR"), value=text("hunter2x"))), [{"name": "EDITOR", "value": "hunter2x"}]),
        ("argv", array(text("db"), text("--password"), text("hunter2x")), ["db", "--password", GONE]),
        ("argv", array(text("db"), text("--pin-password"), whole(73918264)), ["db", "--pin-password", GONE]),
        ("a", pairs(args=array(text("--client-secret"), text("hunter2x"))), {"args": ["--client-secret", GONE]}),
        ("", array(whole(4111111111111111)), ["[REDACTED:credit_card]"]),
        ("tokens", pairs(sent=whole(512), got=whole(77)), {"sent": 512, "got": 77}),
        ("a", pairs(note=text("\ue0000\ue001"), model=text("m")), {"note": "m", "model": "m"}),
    ],
)  # fmt: skip
def test_a_structure_loses_what_its_text_would(
    sanitizer: Sanitizer, key: str, value: AnyValue, expected: object
) -> None:
    """Below a key that says secret, beside a name that does, and behind a flag; and it stays JSON."""
    assert json.loads(text_of(value, key, sanitizer, Counter())) == expected


def test_a_name_beside_a_value_is_held_to_the_rules(sanitizer: Sanitizer) -> None:
    """A list of attributes, as OTLP's JSON has them, is treated as the attributes are."""
    value = array(pairs(key=text("user.email"), value=text("jane@example.com")))
    hashed = sanitizer.hashed("jane@example.com")
    assert json.loads(text_of(value, "any", sanitizer, Counter())) == [{"key": "user.email", "value": hashed}]


def test_bytes_are_searched_as_the_text_that_they_hold(sanitizer: Sanitizer) -> None:
    """As an attribute, in a list and under a secret's name; what is no text is its length and hash."""
    secret = b"api_key=Xk29fLq0Zm3v"
    for value, key in (
        (AnyValue(bytes_value=secret), "note"),
        (array(AnyValue(bytes_value=secret)), "note"),
        (AnyValue(bytes_value=b"Xk29fLq0Zm3v"), "api_key"),
    ):
        stored = text_of(value, key, sanitizer, Counter())
        assert "[REDACTED:password]" in stored
        assert "Xk29" not in stored
    binary = b"\x89PNG\0" + secret
    stored = text_of(AnyValue(bytes_value=binary), "note", sanitizer, Counter())
    assert stored == f"25 bytes, sha256:{hashlib.sha256(binary).hexdigest()}"
    assert text_of(AnyValue(bytes_value="grün\n".encode()), "note", sanitizer, Counter()) == "grün\n"
    off = Sanitizer(load_rules(None, Level.off), None)
    assert text_of(AnyValue(bytes_value=secret), "note", off, Counter()) == base64.b64encode(secret).decode()

"""What only parts a text, or spells it otherwise, hides nothing from the search, and comes back as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickhouse.engine import Engine
from privacy.folding import readings
from privacy.search import sought
from tests.test_sanitizer import RULES, SANITIZER

TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
ESCAPES = ("\x1b", "\\u001b", "\\x1b", "\\033", "\\e")
SPELLED = [
    *(f"{escape}[32m{TOKEN}{escape}[0m" for escape in ESCAPES),
    *(f"token: {escape}[1;31m'{TOKEN}'" for escape in ESCAPES),
    f"{TOKEN[:8]}\u200b{TOKEN[8:]}",
    f"{TOKEN[:8]}\xad{TOKEN[8:]}",
    f"{TOKEN[:8]}\x1b[1m{TOKEN[8:]}",
    "".join(chr(ord(sign) + 0xFEE0) for sign in TOKEN),
    "mail jane.roe&#64;example.com now",
    "mail jane.roe%40example.com now",
    "mail jane.roe\\u0040example.com now",
    f"+{TOKEN}",
    f"line\n-{TOKEN}",
    f'{{"a": "b\\n{TOKEN}"}}',
    "smtp://post%40mail.example:Planet-8284@smtp.example:587",
]
KEPT = [
    "+@app.route('/quartz')",
    '{"diff": "a\\n@pytest.fixture\\ndef b(): pass"}',
    "+2026-11-22 02:17:35 started",
    "   41\t+@app.route('/x')",
    "C:\\\\Work\\\\new\\\\report.txt",
    "100%25 of &lt;b&gt; and caf\\u00e9",
    "\x1b[32mok\x1b[0m 12 passed",
]


@pytest.mark.parametrize("text", SPELLED)
def test_what_parts_or_spells_a_text_hides_nothing(text: str) -> None:
    """Nothing of the secret is left in one piece, and a second search finds no more."""
    found = SANITIZER.redact(text, {})
    assert "[REDACTED:" in found
    assert not any(part in found for part in (TOKEN, TOKEN[8:], "example.com now", "Planet"))
    assert SANITIZER.redact(found, {}) == found


@pytest.mark.parametrize("text", SPELLED)
def test_the_engine_hits_them_too(engine: Engine, text: str) -> None:
    """What the engine does not hit is never searched."""
    [[is_hit]] = engine.rows(
        "SELECT multiMatchAny({text:String}, {patterns:Array(String)}) SETTINGS reject_expensive_hyperscan_regexps = 0",
        {"text": text, "patterns": sought(RULES.patterns)},
    )
    assert is_hit


@pytest.mark.parametrize("text", KEPT)
def test_what_is_not_private_comes_back_as_it_was(text: str) -> None:
    """Decorators, times, paths and colours are no addresses and no numbers of telephones."""
    assert SANITIZER.redact(text, {}) == text


PIECES = [*"ab@.:+-\\n\"'% \t\n\x1b[m0&#;64u\u200b\uff41", "\\u0040", "%40"]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_a_folded_text_is_unfolded_byte_by_byte(text: str) -> None:
    """Whatever stands in it, each way to read it gives it back."""
    data = text.encode()
    for reading in readings(data):
        assert reading(data).unfolded() == data


@given(st.dictionaries(st.sampled_from(["a", "note", "output"]), st.text(max_size=40), max_size=3))
def test_json_stays_json(values: dict[str, str]) -> None:
    """An escape that stands before a secret is not taken with it."""
    values["secret line"] = f"first\n{TOKEN}\ncontact jane.roe@example.com\t+1 415 555 2671"
    found = SANITIZER.redact(json.dumps(values), {})
    assert TOKEN not in found
    assert isinstance(json.loads(found), dict)

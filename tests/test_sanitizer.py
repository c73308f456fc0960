"""The sanitizer: the finds and limits of each rule, the fate of attributes, and the cost of hostile texts."""

import hashlib
import hmac
import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickhouse.engine import Engine
from privacy.checks import CHECKS
from privacy.rules import Level, Pattern, Rules, load_rules
from privacy.sanitizer import NOT_SENT, Sanitizer
from privacy.search import MAX_MATCHES, MAX_SET, sought

SCRIPT = Path(__file__).parent.parent / "scripts/privacy_table.py"
_spec = importlib.util.spec_from_file_location("privacy_table", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
privacy_table = importlib.util.module_from_spec(_spec)
sys.modules["privacy_table"] = privacy_table  # dataclasses look their module up
_spec.loader.exec_module(privacy_table)

RULES = load_rules(None, Level.strict)
SANITIZER = Sanitizer(RULES, None)
CORPUS = privacy_table.read_corpus()
PRIVATE = [entry for entry in CORPUS if entry.gone]
HARMLESS = [entry for entry in CORPUS if not entry.gone]
FOUND = [entry for entry in PRIVATE if not entry.known and entry.key is None]

# Any Unicode text, with the signs and words that patterns are made of more often than chance would have them.
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.text("0123456789.:-+ /@", max_size=12),
        st.sampled_from(
            [
                *(
                    "password=",
                    '"token": "',
                    "/home/",
                    "\\n",
                    "[REDACTED:",
                    "[REDACTED:email]",
                    "Bearer ",
                    "]",
                ),
                *(
                    "sk-ant-abcdefghijkl",
                    "jane@example.com",
                    "é",
                    "😀",
                    "://a:b@",
                    "-----BEGIN PRIVATE KEY-----",
                ),
                *("curl -u a:b ", "~", "'", "secret", "= ", "phone ", "4111111111111111", "::", "ghp_"),
            ]
        ),
    ),
    max_size=12,
).map("".join)


def redact(text: str) -> tuple[str, dict[str, int]]:
    counts = Counter[str]()
    return SANITIZER.redact(text, counts), dict(counts)


def rules_of(*patterns: Pattern) -> Rules:
    return Rules(Level.strict, *[frozenset[str]()] * 4, excerpt_length=9, extract={}, patterns=patterns)


@pytest.mark.parametrize("rule", dict.fromkeys(entry.rule for entry in CORPUS))
def test_the_corpus_is_treated_as_it_says(rule: str) -> None:
    """Private text is removed, the text around it and look-alikes stay, and known errors are still there."""
    wrong = [
        f"{entry.text!r} gave {entry.redacted(SANITIZER)!r}"
        for entry in CORPUS
        if entry.rule == rule and entry.right(SANITIZER) is bool(entry.known)
    ]
    assert wrong == []


def test_recall_and_precision_reach_their_targets() -> None:
    """Over the whole corpus, known errors counted, 99 of 100 are found and 99 of 100 alarms are true."""
    score = privacy_table.score(list(CORPUS), SANITIZER)
    assert score.recall >= 0.99
    assert score.precision >= 0.99
    assert len(CORPUS) >= 250


def test_every_pattern_is_in_the_corpus_with_texts_of_both_kinds() -> None:
    """No pattern goes unmeasured."""
    patterns = {pattern.name for pattern in RULES.patterns}
    assert patterns <= {entry.rule for entry in PRIVATE}
    assert patterns <= {entry.rule for entry in HARMLESS}


def test_the_engine_hits_every_text_that_is_redacted(engine: Engine) -> None:
    """Hyperscan takes all patterns and is no less strict than RE2, since what it misses never gets here."""
    entries = [entry for entry in CORPUS if entry.redacted(SANITIZER) != entry.text]
    [[hits]] = engine.rows(
        "SELECT arrayMap(text -> multiMatchAny(text, {patterns:Array(String)}), {texts:Array(String)})"
        " SETTINGS reject_expensive_hyperscan_regexps = 0",
        {
            "patterns": sought(RULES.patterns),
            "texts": [f"{entry.key}={entry.text}" if entry.key else entry.text for entry in entries],
        },
    )
    assert [entry.text for entry, hit in zip(entries, hits, strict=True) if not hit] == []


def test_the_table_in_the_documentation_is_fresh() -> None:
    """docs/privacy.md shows what the rules do now."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_replacements_are_counted_under_their_rule() -> None:
    """One count a replacement, so that /metrics can show what is found."""
    assert redact("a@b.io,c@d.io from 10.1.2.3") == (
        "[REDACTED:email],[REDACTED:email] from [REDACTED:ipv4]",
        {"email": 2, "ipv4": 1},
    )


def test_neighbours_that_share_their_separator_are_both_found() -> None:
    """The search goes on at the end of the replaced text, not of its context."""
    sanitizer = Sanitizer(rules_of(Pattern("x", "(?:^|,)(secret)(?:,|$)", None)), None)
    counts = Counter[str]()
    assert sanitizer.redact("secret,secret,secret", counts) == ",".join(["[REDACTED:x]"] * 3)
    assert counts == {"x": 3}


def test_a_refused_match_does_not_hide_the_next() -> None:
    """A number that is no card can stand in front of one that is."""
    assert redact("4111 4111 1111 1111 1111")[0] == "4111 [REDACTED:credit_card]"


def test_a_key_that_names_a_secret_makes_the_whole_value_one() -> None:
    """A passphrase of several words goes as a whole, and the key is not touched."""
    counts = Counter[str]()
    redacted = SANITIZER.redact_attribute("db.password", "correct horse, battery", counts)
    assert (redacted, counts) == ("[REDACTED:password]", {"password": 1})
    assert SANITIZER.redact_attribute("jane@example.com", "hello", counts) == "hello"
    assert SANITIZER.redact_attribute("os.kernel.version", "10.1.2.3", counts) == "10.1.2.3"
    assert counts == {"password": 1}


def test_a_pattern_of_ones_own_cannot_break_the_marker() -> None:
    """The inside of a marker is not searched, or redacting twice would redact more."""
    sanitizer = Sanitizer(rules_of(Pattern("caps", "[A-Z]+", None)), None)
    once = sanitizer.redact("AB and [REDACTED:caps]", {})
    assert once == "[REDACTED:caps] and [REDACTED:caps]"
    assert sanitizer.redact(once, {}) == once


def test_what_only_looks_like_a_marker_protects_nothing() -> None:
    """A client cannot hide an address by writing the beginning of a marker before it."""
    assert redact("[REDACTED:jane@example.com]")[0] == "[REDACTED:[REDACTED:email]]"


def test_offsets_are_right_in_texts_of_all_scripts() -> None:
    """RE2 counts bytes; the text around a match stays whole."""
    for around in ("é", "日本", "😀", "\u0301", "\U0010ffff"):
        assert redact(f"{around} jane@example.com {around}")[0] == f"{around} [REDACTED:email] {around}"


def test_a_text_that_is_no_unicode_is_redacted_too() -> None:
    """A lone surrogate, which cannot be stored, becomes a question mark and stops nothing."""
    assert redact("\ud800 jane@example.com")[0] == "? [REDACTED:email]"
    assert SANITIZER.hashed("\ud800").startswith("sha256:")


def test_a_pattern_whose_group_takes_no_part_replaces_nothing() -> None:
    """An optional group that is absent leaves the text."""
    sanitizer = Sanitizer(rules_of(Pattern("x", "a(b)?", None)), None)
    assert sanitizer.redact("a ab", {}) == "a a[REDACTED:x]"


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_bears_any_match(check: str) -> None:
    """People may name a check beside any pattern of theirs."""
    sanitizer = Sanitizer(rules_of(Pattern("x", r"[^\n]+", check)), None)  # type: ignore[arg-type]
    for text in ("", " ", "x", "::", ":", "1", "é", "\x00", "[REDACTED:x]", "a" * 100):
        assert isinstance(sanitizer.redact(text, {}), str)


HOSTILE = [
    *("1", "4 ", "4444 ", "a@a.", "a@a.aa@", "noreply@a.com ", "token=", "token: a ", "1.2.", "v1.2.3.4 "),
    *("a:b::1 ", "a1:", "curl -u ", "-----BEGIN PRIVATE KEY-----", "a://a:b@", "+1 23 ", "bearer abcd "),
    *("authorization:", '"password":"', "token='a ", "/home/user", "https://a/home/x", "[REDACTED:email]"),
    *(
        "[REDACTED:",
        "a~b/",
        "cookie: a=",
        "login x -p ",
        "123456789 ",
        "\\n1",
        "token=$A ",
        "token=${",
        "é@ü.de ",
    ),
]


def test_hostile_texts_cost_a_bounded_number_of_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text made of beginnings of matches asks no check more often than the bound."""
    asked = Counter[str]()

    def counting(name: str) -> None:
        check = CHECKS[name]  # type: ignore[index]

        def count(data: bytes, start: int, end: int) -> bool:
            asked[name] += 1
            return check(data, start, end)

        monkeypatch.setitem(CHECKS, name, count)  # type: ignore[arg-type]

    for name in list(CHECKS):
        counting(name)
    sanitizer = Sanitizer(RULES, None)
    users = Counter(pattern.check for pattern in RULES.patterns if pattern.check)
    for unit in HOSTILE:
        text = unit * (300_000 // len(unit))
        asked.clear()
        once = sanitizer.redact(text, {})
        # A text is searched twice: the second time finds nothing more.
        assert all(count <= 2 * MAX_MATCHES * users[name] for name, count in asked.items()), unit
        assert sanitizer.redact(once, {}) == once, unit


def test_a_long_text_is_searched_like_a_short_one() -> None:
    """Past the length for which one pass tells the patterns that match, all of them are tried."""
    filling = "lorem ipsum\n" * (MAX_SET // 10)
    assert redact(f"jane@example.com {filling} 10.1.2.3") == (
        f"[REDACTED:email] {filling} [REDACTED:ipv4]",
        {"email": 1, "ipv4": 1},
    )


def test_what_is_not_searched_is_not_stored() -> None:
    """After too many matches the rest is redacted unseen."""
    text = "noreply@example.com " * (MAX_MATCHES + 10)
    redacted, counts = redact(text + "jane@corp.example")
    assert redacted == "noreply@example.com " * MAX_MATCHES + "[REDACTED:email]"
    assert counts == {"email": 1, "scan_budget": 1}


@given(TEXTS)
@settings(max_examples=300)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """Redacted text can be sent through again, by a replay or a second server."""
    once, _ = redact(text)
    assert redact(once) == (once, {})


@given(TEXTS, TEXTS)
@settings(max_examples=200)
def test_any_text_can_be_redacted_under_any_key(key: str, text: str) -> None:
    """No text raises, and under its key nothing is lost except the parts that a marker replaces."""
    counts = Counter[str]()
    redacted = SANITIZER.redact_attribute(key, text, counts)
    assert (redacted == text.encode("utf-8", "replace").decode()) is not bool(counts)
    assert SANITIZER.redact_attribute(key, redacted, counts) == redacted


@given(
    st.sampled_from(FOUND),
    st.lists(st.sampled_from(["alpha", "ein Satz", "日本語", "été", "done.", "(ok)", "x > y"]), max_size=6),
    st.lists(st.sampled_from(["omega", "and so on", "日本語", "fin", "1, 2, 3", "ok"]), max_size=6),
)
@settings(max_examples=300)
def test_a_secret_is_found_among_any_words(entry: object, before: list[str], after: list[str]) -> None:
    """A secret that is found alone is found in a longer text."""
    assert isinstance(entry, privacy_table.Entry)
    redacted, _ = redact("\n".join([*before, entry.text, *after]))
    assert entry.gone not in redacted


@given(
    st.text(min_size=1).filter(lambda text: text.isascii() and text != NOT_SENT),
    st.text(min_size=1, alphabet="abc1"),
)
def test_a_hash_says_how_it_was_made(text: str, key: str) -> None:
    """SHA256 without a key, HMAC with one; equal texts have equal hashes."""
    assert SANITIZER.hashed(text) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    digest = hmac.new(key.encode(), text.encode(), "sha256").hexdigest()
    assert Sanitizer(RULES, key).hashed(text) == f"hmac-sha256:{digest}"


def test_nothing_hashes_to_nothing() -> None:
    """An empty value can still be told from a text."""
    assert (SANITIZER.hashed(""), Sanitizer(RULES, "key").hashed("")) == ("", "")
    # Nor does what the client sends in place of a text become one.
    assert (SANITIZER.hashed("<REDACTED>"), Sanitizer(RULES, "key").hashed("<REDACTED>")) == (
        "<REDACTED>",
    ) * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("short", "short"),
        ("é" * 160, "é" * 160),
        ("é" * 161, "é" * 160 + "…"),
        ("one\ntwo", "one…"),
        ("one\r\ntwo", "one…"),
        ("one\n", "one…"),
    ],
)
def test_an_excerpt_is_the_beginning_of_the_first_line(text: str, expected: str) -> None:
    """A cut shows as an ellipsis."""
    assert SANITIZER.excerpt(text) == expected


COMMANDS = {
    "git status": "git",
    "/usr/local/bin/rg -n password src": "rg",
    "FOO=1 BAR='a b' sudo env X=2 python3.11 -m x": "python3.11",
    "sudo -u jane make": "",
    "PASSWORD='my secret' cmd": "cmd",
    "X=$(cat /etc/secret file) cmd": "",
    "X=`cat y z` cmd": "",
    'TOKEN="unclosed secret': "",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345 x": "",
    "/home/jane": "",
    "/home/jane/bin/tool x": "tool",
    "./run.sh": "run.sh",
    "(cd x && ls)": "",
    "A=1": "",
    "": "",
    "   ": "",
    "bob@example.com": "",
    "größe x": "",
    "ls " + "x" * 5000: "ls",
    "x" * 5000: "x" * 1000,
}


@pytest.mark.parametrize(("command", "expected"), COMMANDS.items())
def test_of_a_command_only_the_program_is_kept(command: str, expected: str) -> None:
    """No argument, assignment, path or secret, and nothing where it cannot be told."""
    labels = SANITIZER.labels("tool_parameters", f'{{"full_command": {orjson.dumps(command).decode()}}}')
    expected = expected if len(expected) <= 64 else ""
    assert labels == ({"tool_parameters.full_command": expected} if expected else {})


LABELS = {
    "github": True,
    "plugin:github@market": True,
    "claude.ai Google Drive": True,
    "code-review_2": True,
    "mcp__x": True,
    "delete the account of Bob Smith": False,
    "bob@example.com": False,
    "ghp_0123456789abcdefghijABCDEFGHIJ012345": False,
    "größe": False,
    "line\nline": False,
    "name\n": False,
    "-rf": False,
    "x" * 65: False,
    "x" * 5000: False,
}


@pytest.mark.parametrize(("sent", "is_name"), LABELS.items())
def test_a_label_is_a_name_or_a_hash(sent: str, is_name: bool) -> None:  # noqa: FBT001  a case
    """A field that is meant for a name can hold any text; equal ones can still be counted."""
    text = orjson.dumps({"skill_name": sent}).decode()
    kept = sent if is_name else SANITIZER.hashed(sent)
    assert SANITIZER.labels("tool_parameters", text) == {"tool_parameters.skill_name": kept}


def test_labels_are_the_texts_that_the_rules_name() -> None:
    """Strings only, from an extract key only."""
    text = '{"mcp_server_name":"github","mcp_tool_name":"","subagent_type":1,"bash_command":"echo hello","other":"x"}'
    assert SANITIZER.labels("tool_parameters", text) == {
        "tool_parameters.mcp_server_name": "github",
        "tool_parameters.bash_command": "echo",
    }
    assert SANITIZER.labels("prompt", text) == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "1", "null", "\ud800", '{"skill_name":null}', "{}" * 2]
)
def test_what_is_no_json_object_has_no_labels(text: str) -> None:
    """Half a text, or another value, gives nothing and raises nothing."""
    assert SANITIZER.labels("tool_input", text) == {}


def test_the_key_decides_what_becomes_of_an_attribute() -> None:
    """Dropped, hashed, kept, cut or redacted: the reference for the engine's SQL."""
    rules = Rules(
        level=Level.strict,
        hash_keys=frozenset({"prompt"}),
        drop_keys=frozenset({"gone"}),
        safe_keys=frozenset({"model"}),
        excerpt_keys=frozenset({"error"}),
        excerpt_length=20,
        extract={},
        patterns=RULES.patterns,
    )
    sanitizer = Sanitizer(rules, None)
    text = "jane@example.com failed\nTraceback"
    counts = Counter[str]()
    results = {
        key: sanitizer.attribute(key, text, counts) for key in ("gone", "prompt", "model", "error", "x")
    }
    assert results == {
        "gone": None,
        "prompt": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        "model": text.replace("\n", "\ufffd"),
        "error": "[REDACTED:email] fai…",
        "x": "[REDACTED:email] failed\nTraceback",
    }
    assert counts == {"email": 2}


@pytest.mark.parametrize("level", [Level.strict, Level.balanced])
def test_the_captured_sessions_hold_nothing_private_afterwards(level: Level) -> None:
    """No name, address or number of the user is left in a real client's records, with content switched on."""
    sanitizer = Sanitizer(load_rules(None, level), None)
    captures = sorted((Path(__file__).parent / "data/captures/session-http-json").glob("*.json"))
    assert captures
    stored = [
        sanitizer.attribute(key, text, {})
        for path in captures
        for key, text in string_attributes(orjson.loads(path.read_bytes()))
    ]
    assert stored
    private = ("jane.doe", "555", "(415)", "bob@", "/home/jane")
    assert [text for text in stored if text and any(part in text for part in private)] == []


def string_attributes(node: object) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "key" in node and "stringValue" in node.get("value", {}):
            yield node["key"], node["value"]["stringValue"]
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from string_attributes(child)


def test_off_changes_nothing() -> None:
    """At level off every text is stored as sent."""
    sanitizer = Sanitizer(load_rules(None, Level.off), None)
    text = "jane@example.com password=hunter2"
    assert {sanitizer.attribute(key, text, {}) for key in ("prompt", "error", "x")} == {text}


def test_balanced_redacts_what_strict_would_hash() -> None:
    """At level balanced content is readable, without its secrets."""
    sanitizer = Sanitizer(load_rules(None, Level.balanced), None)
    assert sanitizer.attribute("prompt", "mail jane@example.com", {}) == "mail [REDACTED:email]"

"""The privacy rules on texts made at random by kind: what is found, what stays, and what a text can cost."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
import re2
from hypothesis import HealthCheck, given, settings, strategies

from clickhouse.engine import Engine
from privacy.folding import FOLDABLE, PARTING
from privacy.measuring import measure_own, pieces_of
from privacy.names import Strength, segments, strength
from privacy.rules import Level, Pattern, RulesError, load_rules
from privacy.sanitizer import Sanitizer
from privacy.search import MAX_SCANNED, Budget, _PatternSearch, sought
from privacy.values import hides
from tests.private_texts.corpus import Text, corpus
from tests.private_texts.score import is_json, is_right

RULES = load_rules(None, Level.strict)
SANITIZER = Sanitizer(RULES, None)

LEAST = {"token": 0.99, "secret": 0.99, "person": 0.98, "look-alike": 0.985}
"""The share of each group's texts that must be treated right."""


@pytest.fixture(scope="module", name="results")
def redacted_corpus() -> list[tuple[Text, str]]:
    """Every text with what becomes of it, of another seed than the documents' table has."""
    return [(text, SANITIZER.redact(text.text, {})) for text in corpus(seed=2)]


@pytest.mark.parametrize("half", ["developed", "held out", "later"])
def test_what_is_private_goes_and_what_is_not_stays(results: list[tuple[Text, str]], half: str) -> None:
    """Of every group the share that the documents promise, in both halves of the kinds."""
    right, all_texts = Counter[str](), Counter[str]()
    for text, result in results:
        if text.half == half:
            all_texts[text.group] += 1
            right[text.group] += is_right(text, result)
    least = LEAST if half != "later" else dict.fromkeys(LEAST, 0.9)
    assert {group for group in least if right[group] < least[group] * all_texts[group]} == set()


def test_an_attributes_value_is_treated_as_a_text_is(results: list[tuple[Text, str]]) -> None:
    """The key before a value hides nothing at its beginning, where a label or a heading may stand."""
    worse = {
        text.kind
        for text, result in results
        if text.where in ("alone", "lines", "json")
        and is_right(text, result)
        and not is_right(text, SANITIZER.redact_attribute("note", text.text, {}))
    }
    assert worse == {"csv row"}  # the row of a file's first line begins with the key


def test_the_corpus_is_as_hard_as_it_says(results: list[tuple[Text, str]]) -> None:
    """It has 250 kinds of secrets and 110 of personal data at least, each in several places, and 1,500 look-alikes."""
    kinds = {group: {text.kind for text, _ in results if text.group == group} for group in LEAST}
    assert len(kinds["token"]) + len(kinds["secret"]) >= 250
    assert len(kinds["person"]) >= 110
    assert sum(text.group == "look-alike" for text, _ in results) >= 1500
    places = Counter((text.group, text.kind) for text, _ in results)
    assert min(places.values()) >= 7


def test_the_engine_hits_every_text_that_is_redacted(engine: Engine, results: list[tuple[Text, str]]) -> None:
    """What Hyperscan searches for is wider than what Python finds, folded texts included."""
    texts = [text.text for text, result in results if result != text.text]
    missed: list[str] = []
    for first in range(0, len(texts), 500):
        some = texts[first : first + 500]
        [[hits]] = engine.rows(
            "SELECT arrayMap(text -> multiMatchAny(text, {patterns:Array(String)}), {texts:Array(String)})"
            " SETTINGS reject_expensive_hyperscan_regexps = 0",
            {"patterns": sought(RULES.patterns), "texts": some},
        )
        missed += [text for text, hit in zip(some, hits, strict=True) if not hit]
    assert missed == []


@pytest.mark.parametrize("pattern", RULES.patterns, ids=[pattern.name for pattern in RULES.patterns])
def test_the_engine_hits_whatever_a_pattern_matches(engine: Engine, pattern: Pattern) -> None:
    """So does the prefilter in RE2. Texts are made from the pattern, so that one that finds too little is seen."""
    readable = pattern.regex.replace(r"\p{L}\p{N}", "a-zA-Z0-9é")
    compiled = re2.compile(pattern.regex)
    found: list[str] = []

    @settings(
        max_examples=30,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.from_regex(re.compile(readable)))
    def collect(text: str) -> None:
        if compiled.search(text):
            found.append(text)

    collect()
    assert found
    [[hits]] = engine.rows(
        "SELECT arrayMap(text -> multiMatchAny(text, {patterns:Array(String)}), {texts:Array(String)})"
        " SETTINGS reject_expensive_hyperscan_regexps = 0",
        {"patterns": [pattern.sought, *FOLDABLE, *PARTING], "texts": found},
    )
    prefilter = re2.compile(pattern.sought)
    assert [text for text, hit in zip(found, hits, strict=True) if not (hit and prefilter.search(text))] == []


def test_json_stays_json(results: list[tuple[Text, str]]) -> None:
    """A text that parses as JSON does so after what is private was replaced, whatever it is."""
    broken = [text.text for text, result in results if is_json(text.text) and not is_json(result)]
    assert broken == []


def test_a_number_under_a_secrets_name_becomes_a_text() -> None:
    """A bare number of JSON is replaced with its marker in quotes, in JSON within JSON, too."""
    assert json.loads(SANITIZER.redact('{"password": 12345678, "n": 1}', {})) == {
        "password": "[REDACTED:password]",
        "n": 1,
    }
    inner = json.dumps({"body": '{"password": 12345678}'})
    assert json.loads(json.loads(SANITIZER.redact(inner, {}))["body"]) == {"password": "[REDACTED:password]"}


def test_redacting_the_corpus_twice_changes_nothing_more(results: list[tuple[Text, str]]) -> None:
    """What was stored can be sent again."""
    assert [result for _, result in results if SANITIZER.redact(result, {}) != result] == []


NAMES = {
    Strength.strong: "DB_PASSWORD db.password clientSecret MYSQL_PWD x-api-key AWSSecretAccessKey authToken"
    " SLACK_WEBHOOK_URL SENTRY_DSN PGPASSWORD githubPAT password2 contraseña пароль 密码 storepass"
    " reset_token SMTP_PASS",
    Strength.literal: "secret",
    Strength.vague: "token pass jwt secret_id SSHPASS",
    Strength.weak: "key auth salt X-Amz-Signature payload_sig hmac",
    Strength.none: "author max_tokens input_tokens token_count token_type secretName password_file next_page_token"
    " cache_key primary_key key_id keyword monkey bypass first_pass tokenizer session.id user_email model",
}


@pytest.mark.parametrize(("power", "names"), NAMES.items())
def test_a_name_is_judged_by_its_segments(power: Strength, names: str) -> None:
    """The last segments say what a value is; a part of a word says nothing."""
    assert {name: strength(name) for name in names.split()} == dict.fromkeys(names.split(), power)


def test_a_name_is_split_at_signs_and_humps() -> None:
    """Digits at the end of a segment are no part of it."""
    assert segments("AWSSecretAccessKey2.db-pass_word") == [
        "aws",
        "secret",
        "access",
        "key",
        "db",
        "pass",
        "word",
    ]


@pytest.mark.parametrize(
    ("name", "value", "is_hidden"),
    [
        ("db.password", "12345678", True),
        ("db.password", "correct horse battery staple", True),
        ("db.password", "<password>", False),
        ("db.password", "${DB_PASSWORD}", False),
        ("token", "identifier", False),
        ("token", "12", False),
        ("token", "482913", True),
        ("key", "AbCd0123EfGh4567IjKl", True),
        ("key", "users/profile/settings", False),
        ("cache.key", "AbCd0123EfGh4567IjKl", False),
        ("password", "Enter your password", False),
    ],
)
def test_a_structures_key_hides_its_value(name: str, value: str, is_hidden: bool) -> None:  # noqa: FBT001  a case
    """The whole value of an attribute or a leaf is judged by its name."""
    assert hides(name, value) is is_hidden


SEARCHES = dict(zip([pattern.name for pattern in RULES.patterns], SANITIZER._search._searches, strict=True))
"""One pass of each pattern: a text is searched MAX_PASSES times at most, whatever its length."""


@pytest.mark.parametrize("pattern", RULES.patterns, ids=[pattern.name for pattern in RULES.patterns])
def test_a_text_of_a_patterns_own_pieces_costs_time_in_proportion(pattern: Pattern) -> None:
    """Interleaved and repeated to 50 KB and to 100 KB, a pattern's pieces cost about twice as much, not four times."""
    pieces = pieces_of(pattern)
    for between in (" ", '="', ": a1 "):
        unit = between.join(pieces) + between
        short, long = (seconds_of([pattern.name], unit, size) for size in (50_000, 100_000))
        assert long <= 3 * short + 0.05, (between, short, long)


UNITS: Sequence[str] = (
    *(
        "password='a",
        'token="',
        "curl -u ",
        "curl a ",
        "mysql -u root ",
        "echo a | ",
        "password: |\n  a\n",
        "a@",
    ),
    *(
        "kind: Secret\ndata:\n",
        "--password a ",
        "| password | ",
        "://a:",
        "password=a,",
        "passport no ",
        "AZDO0000",
    ),
    *('"name": "password", "x": 1, ', "DE89 3704 ", '{"password": {"value": ', "password\n  ", "a.atlasv1."),
    *(
        "key value value ",
        "secret is is ",
        "\x1b[32mtoken ",
        "password=${A:",
        "secret: \n  a: b\n",
        "a-",
        "\\n\\n",
    ),
    *(
        "a,password\n",
        "| password |\n",
        "INSERT INTO t (a, password) VALUES ('a', ",
        "(a, password) VALUES (",
        '"element":"Password field",',
        "Password</td><td>",
        "mnemonic: able ",
    ),
    *(
        '{"kty":"RSA","d":"',
        "-rw-r--r-- 1 a ",
        "uid=1(a",
        "A B <a@",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n",
        "00:1a:9f:3c:",
    ),
)


@pytest.mark.parametrize("unit", UNITS)
def test_a_beginning_that_never_ends_costs_time_in_proportion(unit: str) -> None:
    """Nor do quotes, gaps of commands, rows and blocks, repeated."""
    short, long = (seconds_of(SEARCHES, unit, size) for size in (50_000, 100_000))
    assert long <= 3 * short + 0.1, (short, long)


@pytest.mark.parametrize("pattern", RULES.patterns, ids=[pattern.name for pattern in RULES.patterns])
def test_a_patterns_own_pieces_stay_within_the_budget(pattern: Pattern) -> None:
    """However long the text, one pass scans a bounded number of bytes again, and what is left is redacted unseen."""
    search = SEARCHES[pattern.name]
    for between in (" ", '="', ": a1 ", "\n"):
        unit = between.join(pieces_of(pattern)) + between
        data = (unit * (1_000_000 // len(unit))).encode()
        budget, counts = Budget(), dict[str, int]()
        spans, markers = search.found(data, 0, counts, budget)
        # The last match may go over it by its own length.
        assert budget.left > -len(data) - MAX_SCANNED
        assert len(spans) == len(markers) == counts.get(pattern.name, 0)
        if "scan_budget" in counts:
            assert spans[-1][1] == len(data)


def test_own_patterns_are_measured_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes too long for a text of its own pieces stops the start, by its name; bundled ones are not tried."""
    own = Pattern("own", "curl.{0,40}mysql.{0,40}-p", None)
    measure_own(replace(RULES, patterns=(*RULES.patterns, own)))
    monkeypatch.setattr("privacy.measuring.MAX_SECONDS", 0.0)
    measure_own(RULES)
    with pytest.raises(RulesError, match="the pattern own takes"):
        measure_own(replace(RULES, patterns=(*RULES.patterns, own)))


@pytest.mark.parametrize("unit", ["curl mysql -pX7 ", "-u ", "password=Xy7! ", "a@b.co ", "data:\n  "])
def test_past_its_budget_the_rest_of_a_text_is_redacted_whole(unit: str) -> None:
    """It is counted, nothing behind it is stored, and a second redaction changes nothing more."""
    counts = dict[str, int]()
    once = SANITIZER.redact(unit * (200_000 // len(unit)) + "the last words", counts)
    assert counts["scan_budget"] >= 1
    assert "the last words" not in once
    assert once.endswith("]")
    assert SANITIZER.redact(once, {}) == once


def seconds_of(names: Iterable[str], unit: str, size: int) -> float:
    """Return the least CPU-seconds of two passes of these patterns, so that a busy machine fails nothing."""
    data = (unit * (size // len(unit) + 1))[:size].encode()
    return min(sum(_seconds(SEARCHES[name], data) for name in names) for _ in range(2))


def _seconds(search: _PatternSearch, data: bytes) -> float:
    begin = time.process_time()
    search.found(data, 0, {}, Budget())
    return time.process_time() - begin

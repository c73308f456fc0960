"""The YAML file of privacy rules: its contents, and every error it can have, with its line."""

from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest

from privacy.checks import CHECKS, READERS
from privacy.rules import Check, Label, Level, Pattern, Rules, RulesError, load_rules

SMALL = """\
hash: [prompt, tool_input]
extract:
  tool_input:
    - skill_name
    - {label: command, take: first_word}
drop: [secret.sauce]
safe: [model]
excerpt: {length: 20, keys: [error]}
patterns:
  - {name: ticket, pattern: 'ACME-([0-9]+)'}
  - {name: card, pattern: '[0-9]{16}', check: luhn}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def errors_of(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(RulesError) as caught:
        load_rules(path, Level.strict)
    assert str(caught.value) == "\n".join(caught.value.errors)
    return [error.removeprefix(f"{path}:").replace(": ", ":", 1) for error in caught.value.errors]


def test_a_file_becomes_rules(tmp_path: Path) -> None:
    """Each section of the file is one field, and patterns keep their order."""
    assert load_rules(write(tmp_path, SMALL), Level.strict) == Rules(
        level=Level.strict,
        hash_keys=frozenset({"prompt", "tool_input"}),
        drop_keys=frozenset({"secret.sauce"}),
        safe_keys=frozenset({"model"}),
        excerpt_keys=frozenset({"error"}),
        excerpt_length=20,
        extract={"tool_input": (Label("skill_name", "value"), Label("command", "first_word"))},
        patterns=(Pattern("ticket", "ACME-([0-9]+)", None), Pattern("card", "[0-9]{16}", "luhn")),
    )


def test_balanced_keeps_what_is_dropped_and_redacted(tmp_path: Path) -> None:
    """Level balanced neither hashes nor cuts nor extracts."""
    strict = load_rules(write(tmp_path, SMALL), Level.strict)
    rules = load_rules(write(tmp_path, SMALL), Level.balanced)
    assert (rules.level, rules.hash_keys, rules.excerpt_keys, dict(rules.extract)) == (
        Level.balanced,
        frozenset(),
        frozenset(),
        {},
    )
    assert (rules.drop_keys, rules.safe_keys, rules.patterns) == (
        strict.drop_keys,
        strict.safe_keys,
        strict.patterns,
    )


def test_off_does_nothing(tmp_path: Path) -> None:
    """Level off has no rule left."""
    rules = load_rules(write(tmp_path, SMALL), Level.off)
    assert rules.level is Level.off
    assert not any((rules.hash_keys, rules.drop_keys, rules.safe_keys, rules.excerpt_keys))
    assert not any((rules.extract, rules.patterns))


@pytest.mark.parametrize("level", Level)
def test_the_bundled_file_has_no_error(level: Level) -> None:
    """The file that everyone starts with loads at every level."""
    assert load_rules(None, level).level is level


def test_the_bundled_file_holds_what_claude_code_sends() -> None:
    """Content keys are hashed in both spellings, error texts are cut, and ids and enums pass."""
    rules = load_rules(None, Level.strict)
    content = {
        *("prompt", "prompt.text", "user_prompt", "response", "tool_parameters", "tool.parameters"),
        *("tool_input", "tool.input", "full_command", "bash_command", "file_path", "body", "body_ref"),
        *("output", "content", "new_context", "system_prompt_preview", "user_system_prompt"),
        *("hook_definitions", "workspace.host_paths", "user.email", "exception.stacktrace"),
    }
    assert content <= rules.hash_keys
    assert {"error", "error.message", "exception.message", "status.message"} <= rules.excerpt_keys
    assert {"session.id", "event.name", "model", "tool_name", "service.name"} <= rules.safe_keys
    assert set(rules.extract) == {"tool_parameters", "tool.parameters", "tool_input", "tool.input"}


def test_every_check_that_a_file_may_name_exists() -> None:
    """The names that the rules accept are those that the sanitizer has."""
    assert set(get_args(Check)) == {*CHECKS, *READERS}


KEYS = "use one of hash, extract, drop, safe, excerpt, patterns"
IN_HASH = "labels are taken from an attribute before it is hashed, so add it to `hash`"

FAULTS = {
    "not YAML": (
        "hash: [a\ndrop: []\n",
        ["2:not YAML: expected ',' or ']', but got ':'; correct the syntax there"],
    ),
    "two documents": (
        "hash: []\n---\ndrop: []\n",
        ["2:not YAML: but found another document; correct the syntax there"],
    ),
    "control character": (
        "hash: [\x07]\n",
        ["1:not YAML: it holds a control character; save it as plain text"],
    ),
    "empty": ("# nothing\n", ["1:the file is empty; copy the bundled sanitize.yaml and edit that"]),
    "a list": ("- hash\n", ["1:the file is a list; make it a mapping"]),
    "unknown section": (
        "\npattern: []\n",
        ["2:`pattern` is not known in the file; did you mean `patterns`?"],
    ),
    "nothing near": ("xyz: []\n", [f"1:`xyz` is not known in the file; {KEYS}"]),
    "section without content": ("hash:\n", ["1:`hash` is nothing; make it a list"]),
    "section of a wrong type": ("safe: model\n", ["1:`safe` is a text; make it a list"]),
    "key of a wrong type": (
        "drop:\n  - a\n  - 12\n",
        ["3:a key in `drop` is a whole number; make it a text; put it in quotes"],
    ),
    "key that YAML reads as true": (
        "drop: [yes]\n",
        ["1:a key in `drop` is something else; make it a text; put it in quotes"],
    ),
    "empty key": ("hash: ['']\n", ["1:a key in `hash` is empty; write a name or remove it"]),
    "section twice": (
        "hash: [a]\ndrop: []\nhash: [b]\n",
        ["3:`hash` stands in the file twice; merge it with line 1"],
    ),
    "key in two lists": (
        "hash: [a]\nsafe:\n  - b\n  - a\n",
        ["4:`a` is in `hash` already (line 1); keep it in one place"],
    ),
    "key in excerpt and drop": (
        "drop: [a]\nexcerpt:\n  keys: [a]\n",
        ["3:`a` is in `drop` already (line 1); keep it in one place"],
    ),
    "excerpt field": (
        "excerpt: {lenght: 3}\n",
        ["1:`lenght` is not known in `excerpt`; did you mean `length`?"],
    ),
    "excerpt length type": (
        "excerpt: {length: x}\n",
        ["1:`excerpt.length` is a text; make it a whole number"],
    ),
    "excerpt length range": (
        "excerpt: {length: 0}\n",
        ["1:`excerpt.length` is out of range; make it 1 to 10000 characters"],
    ),
    "extract not hashed": ("extract:\n  a: [b]\n", [f"2:`a` in `extract` is in no list; {IN_HASH}"]),
    "extract safe": ("safe: [a]\nextract:\n  a: [b]\n", [f"3:`a` in `extract` is in `safe`; {IN_HASH}"]),
    "extract dropped": ("drop: [a]\nextract:\n  a: [b]\n", [f"3:`a` in `extract` is in `drop`; {IN_HASH}"]),
    "no labels": (
        "hash: [a]\nextract:\n  a: []\n",
        ["3:`a` in `extract` has no labels; list some or remove the key"],
    ),
    "label twice": (
        "hash: [a]\nextract:\n  a:\n    - b\n    - {label: b, take: first_word}\n",
        ["5:label `b` stands under `a` twice; remove one"],
    ),
    "label dropped": (
        "hash: [a]\ndrop: [a.b]\nextract: {a: [b]}\n",
        ["3:label `b` makes `a.b`, which is in `drop`; remove one"],
    ),
    "label without name": (
        "hash: [a]\nextract: {a: [{take: value}]}\n",
        ["2:a label has no name; add `label: NAME`"],
    ),
    "empty label": ("hash: [a]\nextract: {a: ['']}\n", ["2:a label is empty; write a name or remove it"]),
    "unknown take": (
        "hash: [a]\nextract: {a: [{label: b, take: firstword}]}\n",
        ["2:take `firstword` is not known; did you mean `first_word`?"],
    ),
    "unknown label field": (
        "hash: [a]\nextract: {a: [{label: b, takes: value}]}\n",
        ["2:`takes` is not known in a label; did you mean `take`?"],
    ),
    "pattern without name": ("patterns:\n  - pattern: a\n", ["2:a pattern has no `name`; add `name: …`"]),
    "pattern without pattern": (
        "patterns:\n  - name: a\n",
        ["2:a pattern has no `pattern`; add `pattern: …`"],
    ),
    "unknown pattern field": (
        "patterns:\n  - name: a\n    pattern: b\n    chek: luhn\n",
        ["4:`chek` is not known in a pattern; did you mean `check`?"],
    ),
    "unknown check": (
        "patterns: [{name: a, pattern: b, check: luhnn}]\n",
        ["1:check `luhnn` is not known; did you mean `luhn`?"],
    ),
    "pattern name": (
        "patterns: [{name: My rule, pattern: b}]\n",
        [
            (
                "1:pattern name `My rule` cannot be used; use 1 to 40 of a-z, 0-9 and _,"
                " because it is written into [REDACTED:name]"
            )
        ],
    ),
    "pattern twice": (
        "patterns:\n  - {name: a, pattern: b}\n  - {name: a, pattern: c}\n",
        ["3:pattern `a` stands on line 2; rename one"],
    ),
    "invalid pattern": (
        "patterns: [{name: a, pattern: '(b'}]\n",
        ["1:the pattern of `a` is not valid: missing ): (b; see https://github.com/google/re2/wiki/Syntax"],
    ),
    "lookahead": (
        "patterns: [{name: a, pattern: 'b(?=c)'}]\n",
        [
            (
                "1:the pattern of `a` is not valid: it uses lookaround;"
                " capture the part to replace in a group instead, or name a `check`"
            )
        ],
    ),
    "lookbehind": (
        "patterns: [{name: a, pattern: '(?<!b)c'}]\n",
        [
            (
                "1:the pattern of `a` is not valid: it uses lookaround;"
                " capture the part to replace in a group instead, or name a `check`"
            )
        ],
    ),
    "backreference": (
        "patterns: [{name: a, pattern: '(b)\\1'}]\n",
        ["1:the pattern of `a` is not valid: it uses a backreference; write the alternatives out"],
    ),
    "possessive": (
        "patterns: [{name: a, pattern: 'b++'}]\n",
        [
            (
                "1:the pattern of `a` is not valid: bad repetition operator: ++;"
                " possessive and atomic repeats are not needed, as matching never backtracks"
            )
        ],
    ),
    "two groups": (
        "patterns: [{name: a, pattern: '(b)(c)'}]\n",
        [
            (
                "1:the pattern of `a` has 2 groups;"
                " the one group says what is replaced, so write the others as (?:…)"
            )
        ],
    ),
    "matches nothing": (
        "patterns: [{name: a, pattern: 'b*'}]\n",
        [
            (
                "1:the pattern of `a` matches the empty text;"
                " it would match everywhere, so ask for at least one character"
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_an_error_is_named_with_its_line_and_remedy(tmp_path: Path, text: str, expected: list[str]) -> None:
    """Each kind of error refuses the file, with its line and the remedy."""
    assert errors_of(tmp_path, text) == expected


def test_all_errors_are_listed_at_once(tmp_path: Path) -> None:
    """One start of the server shows everything there is to correct, from top to bottom."""
    text = """\
    hash: [a, 1]
    save: [b]
    drop: [a]
    patterns:
      - {name: x, pattern: '(?=y)'}
      - {name: x, pattern: z, check: luhm}
    """
    assert [error.partition(":")[0] for error in errors_of(tmp_path, text)] == ["1", "2", "3", "5", "6", "6"]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A wrong path and a wrong encoding stop the start like any other error."""
    remedy = "set TELEMETRY_SANITIZE_CONFIG to a readable UTF-8 file, or unset it for the bundled rules"
    missing = tmp_path / "missing.yaml"
    with pytest.raises(RulesError) as caught:
        load_rules(missing, Level.strict)
    assert caught.value.errors == (f"{missing}:1: cannot be read (No such file or directory); {remedy}",)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"hash: [\xe9]\n")
    with pytest.raises(RulesError) as caught:
        load_rules(latin, Level.strict)
    assert caught.value.errors == (f"{latin}:1: cannot be read (it is not UTF-8); {remedy}",)


def test_a_tag_constructs_nothing(tmp_path: Path) -> None:
    """YAML that asks for Python objects is refused as being of the wrong type."""
    text = "hash: !!python/object/apply:os.system ['exit 1']\n"
    assert errors_of(tmp_path, text) == ["1:`hash` is something else; make it a list"]


def test_an_alias_can_be_used_for_equal_lists(tmp_path: Path) -> None:
    """The same labels can be given to several keys."""
    rules = load_rules(
        write(tmp_path, "hash: [a, b]\nextract:\n  a: &labels [x]\n  b: *labels\n"), Level.strict
    )
    assert dict(rules.extract) == {"a": (Label("x", "value"),), "b": (Label("x", "value"),)}

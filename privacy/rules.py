"""The privacy rules: what the sanitizer does with each attribute, read from one YAML file.

Guarantees that rules which load can be applied: every pattern compiles in RE2, no key has two fates, every
name is known. A file with errors is refused whole, and all its errors are listed at once with their lines.
The level is applied here, so that code that holds a `Rules` need not know of levels.
A missing section is an empty one; nothing is merged with the bundled file.

Does not change any text; that is `privacy.sanitizer`. Does not try the patterns on ClickHouse's Hyperscan,
which takes less than RE2 in rare cases; a test does so for the bundled file.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import re2
import yaml

Check = Literal[
    "argument", "command", "credential", "email", "home", "iban", "inner", "ipv4", "ipv6", "kubernetes", "labelled",
    "literal", "luhn", "mac", "mixed", "pair", "parameter", "person", "phone", "private",
    "secret", "ssn", "telling", "token", "url",
]  # fmt: skip
Take = Literal["value", "first_word"]


class Level(StrEnum):
    """How much is taken out: `strict` all the rules say, `balanced` only drops and redacts, `off` nothing."""

    strict = "strict"
    balanced = "balanced"
    off = "off"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One thing to redact. The capturing group is replaced where there is one, else the whole match.

    `check` names the predicate in `privacy.checks.CHECKS` that confirms a match: what RE2, which has no
    lookaround and cannot count, cannot say. `prefilter` is what the engine searches for in its place, where Hyperscan
    does not take the pattern itself: it is found in every text in which the pattern is.
    """

    name: str
    regex: str
    check: Check | None
    prefilter: str | None = None

    @property
    def sought(self) -> str:
        """What the engine searches for."""
        return self.prefilter or self.regex


@dataclass(frozen=True, slots=True)
class Label:
    """One field of a JSON attribute that is kept, whole or as the first word of a command."""

    name: str
    take: Take


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything the sanitizer goes by. Patterns apply in their order; `excerpt_length` is in characters."""

    level: Level
    hash_keys: frozenset[str]
    drop_keys: frozenset[str]
    safe_keys: frozenset[str]
    excerpt_keys: frozenset[str]
    excerpt_length: int
    extract: Mapping[str, tuple[Label, ...]]
    patterns: tuple[Pattern, ...]


class RulesError(ValueError):
    """The file cannot be used. `errors` holds each error as `FILE:LINE: what is wrong; what to do`."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


def load_rules(path: Path | None, level: Level) -> Rules:
    """Read the rules in `path`, None for the bundled ones, as they apply at `level`, or raise RulesError."""
    source = Path(__file__).with_name("sanitize.yaml") if path is None else path
    reading = _Reading()
    rules = reading.rules(source)
    if reading.errors:
        raise RulesError(f"{source}:{line}: {message}" for line, message in sorted(reading.errors))
    if level is not Level.strict:
        rules = replace(rules, hash_keys=frozenset(), excerpt_keys=frozenset(), extract=MappingProxyType({}))
    if level is Level.off:
        rules = replace(rules, drop_keys=frozenset(), safe_keys=frozenset(), patterns=())
    return replace(rules, level=level)


_TAGS = {
    "tag:yaml.org,2002:str": "a text",
    "tag:yaml.org,2002:int": "a whole number",
    "tag:yaml.org,2002:seq": "a list",
    "tag:yaml.org,2002:map": "a mapping",
    "tag:yaml.org,2002:null": "nothing",
}
_SECTIONS = ("hash", "extract", "drop", "safe", "excerpt", "patterns")
_NAME = re2.compile("[a-z0-9_]{1,40}")


class _Reading:
    """Turns the YAML node tree into rules, and collects (line, message) for whatever does not fit.

    It reads nodes rather than plain values, because only nodes know their lines and show duplicate keys.
    """

    def __init__(self) -> None:
        self.errors: list[tuple[int, str]] = []
        self._fates: dict[str, tuple[str, int]] = {}

    def rules(self, source: Path) -> Rules:
        top = self._mapping(self._root(source), "the file", _SECTIONS)
        excerpt = self._mapping(top.get("excerpt"), "`excerpt`", ("length", "keys"))
        return Rules(
            level=Level.strict,
            hash_keys=self._keys(top.get("hash"), "hash"),
            drop_keys=self._keys(top.get("drop"), "drop"),
            safe_keys=self._keys(top.get("safe"), "safe"),
            excerpt_keys=self._keys(excerpt.get("keys"), "excerpt"),
            excerpt_length=self._length(excerpt.get("length")),
            # After the four lists above, whose keys it is held against.
            extract=MappingProxyType(self._extract(top.get("extract"))),
            patterns=self._patterns(top.get("patterns")),
        )

    def _root(self, source: Path) -> yaml.Node | None:
        try:
            root = yaml.compose(source.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            remedy = (
                "set TELEMETRY_SANITIZE_CONFIG to a readable UTF-8 file, or unset it for the bundled rules"
            )
            self.errors.append((1, f"cannot be read ({reason}); {remedy}"))
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            self.errors.append((line, f"not YAML: {error.problem}; correct the syntax there"))
            return None
        except yaml.YAMLError:
            self.errors.append((1, "not YAML: it holds a control character; save it as plain text"))
            return None
        if root is None:
            self.errors.append((1, "the file is empty; copy the bundled sanitize.yaml and edit that"))
        return root

    def _error(self, node: yaml.Node, message: str) -> None:
        self.errors.append((node.start_mark.line + 1, message))

    def _is(self, node: yaml.Node, kind: str, what: str) -> bool:
        found = _TAGS.get(node.tag, "something else")
        if found == kind:
            return True
        quoting = "; put it in quotes" if kind == "a text" and isinstance(node, yaml.ScalarNode) else ""
        self._error(node, f"{what} is {found}; make it {kind}{quoting}")
        return False

    def _text(self, node: yaml.Node, what: str) -> str | None:
        if not self._is(node, "a text", what):
            return None
        if not node.value.strip():
            self._error(node, f"{what} is empty; write a name or remove it")
            return None
        return str(node.value)

    def _items(self, node: yaml.Node | None, what: str) -> Sequence[yaml.Node]:
        if node is None or not self._is(node, "a list", what):
            return ()
        return cast("Sequence[yaml.Node]", node.value)

    def _pairs(self, node: yaml.Node | None, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Name to (its node, the value's node) of a mapping."""
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if node is None or not self._is(node, "a mapping", what):
            return pairs
        for name_node, value in node.value:
            name = self._text(name_node, f"a key of {what}")
            if name is None:
                continue
            if name in pairs:
                first = pairs[name][0].start_mark.line + 1
                self._error(name_node, f"`{name}` stands in {what} twice; merge it with line {first}")
                continue
            pairs[name] = (name_node, value)
        return pairs

    def _mapping(self, node: yaml.Node | None, what: str, allowed: Sequence[str]) -> dict[str, yaml.Node]:
        fields: dict[str, yaml.Node] = {}
        for name, (name_node, value) in self._pairs(node, what).items():
            if name in allowed:
                fields[name] = value
            else:
                self._error(name_node, f"`{name}` is not known in {what}; {_suggest(name, allowed)}")
        return fields

    def _keys(self, node: yaml.Node | None, fate: str) -> frozenset[str]:
        keys = set[str]()
        for item in self._items(node, f"`{fate}`" if fate != "excerpt" else "`excerpt.keys`"):
            key = self._text(item, f"a key in `{fate}`")
            if key is None:
                continue
            if key in self._fates:
                other, line = self._fates[key]
                self._error(item, f"`{key}` is in `{other}` already (line {line}); keep it in one place")
                continue
            self._fates[key] = (fate, item.start_mark.line + 1)
            keys.add(key)
        return frozenset(keys)

    def _length(self, node: yaml.Node | None) -> int:
        default = 160
        if node is None or not self._is(node, "a whole number", "`excerpt.length`"):
            return default
        if not node.value.isdecimal() or not 1 <= int(node.value) <= 10_000:  # noqa: PLR2004
            self._error(node, "`excerpt.length` is out of range; make it 1 to 10000 characters")
            return default
        return int(node.value)

    def _extract(self, node: yaml.Node | None) -> dict[str, tuple[Label, ...]]:
        extract: dict[str, tuple[Label, ...]] = {}
        for key, (key_node, value) in self._pairs(node, "`extract`").items():
            fate = self._fates.get(key, ("no list", 0))[0]
            if fate != "hash":
                where = f"is in {fate}" if fate == "no list" else f"is in `{fate}`"
                remedy = "labels are taken from an attribute before it is hashed, so add it to `hash`"
                self._error(key_node, f"`{key}` in `extract` {where}; {remedy}")
            labels = self._labels(key, value)
            if not labels and _TAGS.get(value.tag) == "a list" and not value.value:
                self._error(value, f"`{key}` in `extract` has no labels; list some or remove the key")
            extract[key] = labels
        return extract

    def _labels(self, key: str, node: yaml.Node) -> tuple[Label, ...]:
        labels: dict[str, Label] = {}
        for item in self._items(node, f"`{key}` in `extract`"):
            label = self._label(item)
            if label is None:
                continue
            made = f"{key}.{label.name}"
            fate = self._fates.get(made, ("", 0))[0]
            if label.name in labels:
                self._error(item, f"label `{label.name}` stands under `{key}` twice; remove one")
            elif fate in {"drop", "hash"}:
                self._error(item, f"label `{label.name}` makes `{made}`, which is in `{fate}`; remove one")
            labels.setdefault(label.name, label)
        return tuple(labels.values())

    def _label(self, node: yaml.Node) -> Label | None:
        if isinstance(node, yaml.ScalarNode):
            name = self._text(node, "a label")
            return Label(name, "value") if name else None
        fields = self._mapping(node, "a label", ("label", "take"))
        if "label" not in fields:
            if isinstance(node, yaml.MappingNode):
                self._error(node, "a label has no name; add `label: NAME`")
            return None
        name = self._text(fields["label"], "`label`")
        take = self._one_of(fields.get("take"), "take", get_args(Take))
        return Label(name, cast("Take", take or "value")) if name else None

    def _one_of(self, node: yaml.Node | None, what: str, allowed: Sequence[str]) -> str | None:
        chosen = None if node is None else self._text(node, f"`{what}`")
        if node is None or chosen is None or chosen in allowed:
            return chosen
        self._error(node, f"{what} `{chosen}` is not known; {_suggest(chosen, allowed)}")
        return None

    def _patterns(self, node: yaml.Node | None) -> tuple[Pattern, ...]:
        patterns: list[Pattern] = []
        lines: dict[str, int] = {}
        for item in self._items(node, "`patterns`"):
            fields = self._mapping(item, "a pattern", ("name", "pattern", "prefilter", "check"))
            if isinstance(item, yaml.MappingNode):
                for field in ("name", "pattern"):
                    if field not in fields:
                        self._error(item, f"a pattern has no `{field}`; add `{field}: …`")
            check = self._one_of(fields.get("check"), "check", get_args(Check))
            name = self._text(fields["name"], "`name`") if "name" in fields else None
            if name is not None:
                if not _NAME.fullmatch(name):
                    remedy = "use 1 to 40 of a-z, 0-9 and _, because it is written into [REDACTED:name]"
                    self._error(fields["name"], f"pattern name `{name}` cannot be used; {remedy}")
                if name in lines:
                    self._error(fields["name"], f"pattern `{name}` stands on line {lines[name]}; rename one")
                lines.setdefault(name, fields["name"].start_mark.line + 1)
            regex = self._regex(fields["pattern"], name or "?") if "pattern" in fields else None
            prefilter = self._regex(fields["prefilter"], name or "?") if "prefilter" in fields else None
            if name is not None and regex is not None:
                patterns.append(Pattern(name, regex, cast("Check | None", check), prefilter))
        return tuple(patterns)

    def _regex(self, node: yaml.Node, name: str) -> str | None:
        text = self._text(node, f"the pattern of `{name}`")
        if text is None:
            return None
        options = re2.Options()
        options.log_errors = False
        try:
            compiled = re2.compile(text, options)
        except re2.error as error:
            self._error(node, f"the pattern of `{name}` is not valid: {_explain(error)}")
            return None
        if compiled.groups > 1:
            remedy = "the one group says what is replaced, so write the others as (?:…)"
            self._error(node, f"the pattern of `{name}` has {compiled.groups} groups; {remedy}")
            return None
        if any(found.start() == found.end() for found in map(compiled.search, ("", "a", " a1.")) if found):
            remedy = "it would match everywhere, so ask for at least one character"
            self._error(node, f"the pattern of `{name}` matches the empty text; {remedy}")
            return None
        return text


def _suggest(name: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), allowed, n=1)
    return f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(allowed)}"


def _explain(error: Exception) -> str:
    """RE2's message, with the reason where it refuses on purpose what other engines take."""
    said = error.args[0] if error.args else b""
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    if said.startswith(
        ("invalid perl operator: (?=", "invalid perl operator: (?!", "invalid perl operator: (?<")
    ):
        return "it uses lookaround; capture the part to replace in a group instead, or name a `check`"
    if said.startswith("invalid escape sequence: \\") and said[-1:].isdigit():
        return "it uses a backreference; write the alternatives out"
    if said.startswith(("invalid perl operator: (?>", "bad repetition operator")):
        return f"{said}; possessive and atomic repeats are not needed, as matching never backtracks"
    return f"{said}; see https://github.com/google/re2/wiki/Syntax"

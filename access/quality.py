"""How good the recorded data is: what is missing, what cannot be true, what is implausible, and how old the newest is.

One statement computes it in the engine. Records that break a validation rule are counted here and dropped nowhere. The
rules are those of a YAML file, `validation.yaml` unless the settings name another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from access.answer import Answer, Freshness, Range, Table
from access.reading import bounds, statement
from access.store import Store
from access.telemetry_sources import filtered
from config.faults import located

BUNDLED: Final = Path(__file__).parent / "validation.yaml"
_RULES: Final = " /* rules */"
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Field = Literal[
    "duration",
    "tokens",
    "response_size",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "cost",
    "prompt_length",
    "attempt",
]
# A negative or excessive value is NULL in its column, and flagged by the names of the attributes that had it.
_COLUMNS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "duration": ("duration_ms", ("duration_ms", "total_duration_ms", "total_retry_duration_ms")),
    "tokens": (
        (
            "if(input_tokens IS NULL AND output_tokens IS NULL, NULL,"
            " ifNull(input_tokens, 0) + ifNull(output_tokens, 0))"
        ),
        ("input_tokens", "output_tokens"),
    ),
    "response_size": ("result_bytes", ("tool_result_size_bytes",)),
    "input_tokens": ("input_tokens", ("input_tokens",)),
    "output_tokens": ("output_tokens", ("output_tokens",)),
    "cache_read_tokens": ("cache_read_tokens", ("cache_read_tokens",)),
    "cache_creation_tokens": ("cache_creation_tokens", ("cache_creation_tokens",)),
    "cost": ("cost_usd", ("cost_usd", "cost_usd_micros")),
    "prompt_length": ("prompt_length", ("prompt_length", "user_prompt_length")),
    "attempt": ("attempt", ("attempt", "total_attempts")),
}


class RulesError(Exception):
    """A file of validation rules cannot be used. The text has every fault, with its remedy."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            f"The validation rules in {path} cannot be used: {'; '.join(problems)}."
            " Correct the file, or set TELEMETRY_VALIDATION_RULES to another one; unset, the bundled rules apply."
        )


class Rule(BaseModel):
    """An entry of the file: between what bounds a field is plausible; a bound of None is not checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: _Field
    min: _Number | None = None
    max: _Number | None = None

    @model_validator(mode="after")
    def _has_bounds(self) -> "Rule":
        if self.min is None and self.max is None:
            raise ValueError("has neither min nor max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("has a min over its max")
        return self


def read_rules(path: Path | None = None) -> tuple[Rule, ...]:
    """Return the rules of a file, of the bundled one when none is named. Raises RulesError with all problems."""
    source = path or BUNDLED
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise RulesError(source, [f"it cannot be read ({error.strerror})"]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise RulesError(source, ["it is not YAML"]) from None
    entries = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise RulesError(source, ["it has no list under the key `rules`"])
    rules: list[Rule] = []
    problems = [f"`{key}` is not a key" for key in document if key != "rules"]
    for number, entry in enumerate(entries, 1):
        try:
            rule = Rule.model_validate(entry)
        except ValidationError as error:
            problems += [f"entry {number}, {located(fault)}" for fault in error.errors()]
            continue
        if any(rule.field == other.field for other in rules):
            problems.append(f"entry {number}, field: has a rule already")
        rules.append(rule)
    if problems:
        raise RulesError(source, problems)
    return tuple(rules)


@dataclass(frozen=True, slots=True)
class Broken:
    """What a rule found: how many records had the field, and how many of them were below and above its bounds."""

    rule: Rule
    checked: int
    below: int
    above: int

    def as_dict(self) -> dict[str, Any]:
        """Return it by name, as a document has it."""
        return {
            "field": self.rule.field,
            "min": self.rule.min,
            "max": self.rule.max,
            "checked": self.checked,
            "below": self.below,
            "above": self.above,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a period's events are. Shares are from 0 to 1, None where there was nothing to judge."""

    time_range: Range
    sample_size: int
    """Events."""
    completeness: float | None
    """The share of the events whose values were all there and possible."""
    missing_share: float | None
    """The share of the values that an event of its kind always has, and that were not there."""
    missing: Mapping[str, int]
    """Those values by kind of event and name, and how many were not there; most first."""
    schema_compliance: float | None
    """The share of the events in which every value that was there was of its type and possible."""
    impossible: Mapping[str, int]
    """The values that were not, by fault and name; most first."""
    outlier_share: float | None
    """The share of the durations outside of Tukey's fences of their kind of event."""
    freshness: Freshness
    rules: tuple[Broken, ...]
    broken: int
    """Events that break at least one rule."""
    query: str = ""

    def as_answer(self) -> Answer:
        """Return it as an answer: a measure a row, and tables of what is missing, impossible and implausible."""
        rows: list[tuple[str, Any]] = [
            ("sample_size", self.sample_size),
            ("completeness", self.completeness),
            ("missing_share", self.missing_share),
            ("schema_compliance", self.schema_compliance),
            ("outlier_share", self.outlier_share),
            ("age_seconds", self.freshness.age_seconds),
            ("records_that_break_a_rule", self.broken),
        ]
        columns = ("field", "min", "max", "checked", "below", "above")
        return Answer(
            columns=("measure", "value"),
            rows=rows,
            finding=self._finding(),
            tables={
                "missing": Table(("value", "records"), list(self.missing.items())),
                "impossible": Table(("fault", "records"), list(self.impossible.items())),
                "rules": Table(columns, [tuple(one.as_dict().values()) for one in self.rules]),
            },
            query_executed=self.query,
            parameters=bounds(self.time_range),
            time_range=self.time_range,
            freshness=self.freshness,
            completeness=self.completeness,
            notes=("Records that break a rule are counted, and are in every other answer.",),
        )

    def as_document(self) -> dict[str, Any]:
        """Return it with the field names of an export's `dataQuality`."""
        return {
            "completeness": self.completeness,
            "sampleSize": self.sample_size,
            "missingDataPoints": list(self.missing),
            "missingDataPointCounts": dict(self.missing),
            "missingDataPercentage": _percent(self.missing_share),
            "outlierPercentage": _percent(self.outlier_share),
            "dataFreshness": self.freshness.as_dict(),
            "schemaCompliance": self.schema_compliance,
            "impossibleValues": dict(self.impossible),
            "validationRules": [one.as_dict() for one in self.rules],
            "recordsThatBreakARule": self.broken,
        }

    def _finding(self) -> str:
        if not self.sample_size:
            return "There are no events in this period."
        return (
            f"{self.sample_size:,} events, {_percent(self.completeness):g}% of them complete;"
            f" {self.broken:,} break a validation rule."
        )


def quality(
    store: Store,
    time_range: Range,
    rules: Sequence[Rule] | None = None,
    *,
    conditions: Sequence[str] = (),
    values: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Quality:
    """Return how good a period's events are. Raises Refusal.

    `conditions` are SQL constants that narrow the events, with their `values` to bind.
    """
    checks = tuple(read_rules() if rules is None else rules)
    sql, bound = _statement(checks)
    sql = filtered(sql, conditions)
    row = store.rows(sql, bounds(time_range) | bound | dict(values or {})).dicts()[0]
    records = int(row["records"])
    newest = row["newest"] if int(row["dated"]) else None
    age = max(0, int(((now or datetime.now(UTC)) - newest).total_seconds())) if newest else None
    return Quality(
        time_range=time_range,
        sample_size=records,
        completeness=_share(row["complete"], records),
        missing_share=_share(row["missing_points"], row["points"]),
        missing=_most_first(row["missing"]),
        schema_compliance=_share(row["compliant"], records),
        impossible=_most_first(row["impossible"]),
        outlier_share=_share(row["outliers"], row["measured"]),
        freshness=Freshness(newest, age),
        rules=tuple(
            Broken(rule, *(int(row[f"{part}_{number}"]) for part in ("checked", "below", "above")))
            for number, rule in enumerate(checks)
        ),
        broken=int(row["broken"]) if checks else 0,
        query=sql,
    )


def _statement(rules: Sequence[Rule]) -> tuple[str, dict[str, str]]:
    """Return the statement with three counts a rule, and the bounds to bind. Every name in it is a constant."""
    values: dict[str, str] = {}
    counts, breaks = [], []
    for number, rule in enumerate(rules):
        column, attributes = _COLUMNS[rule.field]
        sides = {}
        for side, sign, fault, bound in (
            ("below", "<", "negative", rule.min),
            ("above", ">", "excessive", rule.max),
        ):
            if bound is None:
                sides[side] = "0"
                continue
            name = f"{side}_{number}"
            values[f"bound_{name}"] = repr(float(bound))
            flags = ", ".join(f"'{fault}_{attribute}'" for attribute in attributes)
            # What is flagged as negative is below 0, and so below every bound from 0 up.
            is_flagged = bound >= 0 if side == "below" else True
            flagged = f" OR hasAny(quality, [{flags}])" if is_flagged else ""
            sides[side] = f"(ifNull({column} {sign} {{bound_{name}:Float64}}, 0){flagged})"
        flags = ", ".join(f"'{fault}_{name}'" for fault in ("negative", "excessive") for name in attributes)
        counts += [
            f"countIf(({column}) IS NOT NULL OR hasAny(quality, [{flags}])) AS checked_{number}",
            *(f"countIf({condition}) AS {side}_{number}" for side, condition in sides.items()),
        ]
        breaks += list(sides.values())
    if breaks:
        counts.append(f"countIf({' OR '.join(breaks)}) AS broken")
    return statement("quality").replace(_RULES, "".join(f",\n    {count}" for count in counts)), values


def _most_first(counts: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: int(count) for name, count in sorted(counts.items(), key=lambda one: (-int(one[1]), one[0]))
    }


def _share(part: Any, whole: Any) -> float | None:
    return int(part) / int(whole) if int(whole) else None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 6)

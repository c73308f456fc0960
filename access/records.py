"""Leaves demo data out of questions as soon as there is other data.

The bundled questions read tables by their names. Here each name is replaced by the table without the demo's rows,
unless these are all that there is, or `records` is `all`. The test records of `telemetry setup` and `doctor` are no
events, so no question counts them.
"""

import re
from typing import Final

PARAMETER: Final = "records"
MEANING: Final = "real: without demo data as soon as there is other; all: with it"
REAL: Final = "real"
DEMO_TEAMS: Final = ("demo-kraken", "demo-griffin", "demo-phoenix", "demo-yeti", "demo-golem")
"""The teams of `demo/world.py`: every record of the demo has one of them."""
_LISTED: Final = ", ".join(f"'{team}'" for team in DEMO_TEAMS)
_IS_REAL: Final = f"team NOT IN ({_LISTED})"
_ONLY_DEMO: Final = f"(SELECT count() FROM (SELECT 1 FROM telemetry_daily WHERE {_IS_REAL} LIMIT 1)) = 0"  # noqa: S608
_REAL: Final = f"{_IS_REAL} OR {_ONLY_DEMO}"
_TABLE: Final = re.compile(
    r"\bFROM (telemetry_(?:events|hourly|daily|sessions|spans|measures)\b"
    # A view with parameters, whose values have parentheses.
    r"|telemetry_metric_increments(?:_of)?\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))"
)


def real(sql: str, *, is_choice: bool = True) -> str:
    """Return a statement that reads only real records, if it reads typed events, their sums, or spans.

    With a choice it then has the parameter `records`. A statement that has it already looks after itself.
    """
    if is_asked(sql):
        return sql
    condition = f"{{{PARAMETER}:String}} = 'all' OR {_REAL}" if is_choice else _REAL

    def without(found: re.Match[str]) -> str:
        name = found[1].partition("(")[0]
        return f"FROM (SELECT * FROM {found[1]} WHERE {condition}) AS {name}"  # noqa: S608  constants

    return _TABLE.sub(without, sql)


def is_asked(sql: str) -> bool:
    """Whether a statement has the parameter."""
    return f"{{{PARAMETER}:" in sql

"""The prices of models: a YAML file that people can edit, and the table `model_prices` that questions read."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clickhouse.database import Database
from clickhouse.model_names import canonical
from config.faults import located

BUNDLED: Final = Path(__file__).parent / "prices.yaml"
_STORED: Final = """SELECT
    pattern, toString(speed), prompt_over, toString(valid_from), input_usd, output_usd,
    cache_write_5m_usd, cache_write_1h_usd, cache_read_usd
FROM model_prices"""
_FILL: Final = """INSERT INTO model_prices
    (pattern, speed, prompt_over, valid_from,
    input_usd, output_usd, cache_write_5m_usd, cache_write_1h_usd, cache_read_usd)
SELECT row.1, row.2, row.3, toDate(row.4), row.5, row.6, row.7, row.8, row.9
FROM (
    SELECT arrayJoin(JSONExtract(
        {prices:String},
        'Array(Tuple(String, String, UInt64, String, Float64, Float64, Float64, Float64, Float64))')) AS row
)"""
Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Row = tuple[str, str, int, str, float, float, float, float, float]


class PricesError(Exception):
    """A file of prices cannot be used. The text has every error, with its remedy."""

    def __init__(self, path: Path, errors: list[str]) -> None:
        super().__init__(
            f"The prices in {path} cannot be used: {'; '.join(errors)}."
            " Correct the file, or set TELEMETRY_PRICES to another one; unset, the bundled prices are used."
        )


class Price(BaseModel):
    """An entry of the file: the prices of a model, in US dollars for a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    speed: str = ""
    prompt_over: int = Field(0, ge=0)
    since: date = Field(date(1970, 1, 1), alias="from", ge=date(1970, 1, 1), le=date(2149, 6, 6))
    input: Rate
    output: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    cache_read: Rate

    @property
    def row(self) -> Row:
        """The entry as a row of `model_prices`: its model by the one name, in which `*` becomes LIKE's `%`."""
        literal = canonical(self.model).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return (
            *(literal.replace("*", "%"), self.speed, self.prompt_over, self.since.isoformat()),
            *(self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read),
        )


def read_prices(path: Path | None = None) -> list[Price]:
    """Return the prices in a file, the bundled file when none is named. Raises PricesError with all errors."""
    source = path or BUNDLED
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise PricesError(source, [f"it cannot be read ({error.strerror})"]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise PricesError(source, ["it is not YAML"]) from None
    entries = document.get("prices") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise PricesError(source, ["it has no list under the key `prices`"])
    prices, errors = [], []
    for number, entry in enumerate(entries, 1):
        try:
            prices.append(Price.model_validate(entry))
        except ValidationError as error:
            errors += [f"entry {number}, {located(fault)}" for fault in error.errors()]
    if errors:
        raise PricesError(source, errors)
    return prices


def load_prices(database: Database, prices: list[Price]) -> bool:
    """Replace the table's prices with these. Return whether the table had to be changed."""
    wanted = sorted(price.row for price in prices)
    if sorted(tuple(row) for row in database.rows(_STORED)) == wanted:
        return False
    database.command("TRUNCATE TABLE model_prices")
    database.command(_FILL, {"prices": json.dumps(wanted)})
    return True

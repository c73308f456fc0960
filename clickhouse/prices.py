"""What models cost: a YAML file that people can edit, and the table `model_prices` that questions read it from."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clickhouse.migrations import Session

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
    """A file of prices cannot be used. The text has every fault, with its remedy."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        super().__init__(
            f"The prices in {path} cannot be used: {'; '.join(faults)}."
            " Mend the file, or set TELEMETRY_PRICES to another one; unset, the bundled prices are taken."
        )


class Price(BaseModel):
    """An entry of the file: what a model costs, in US dollars for a million tokens."""

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
        """The entry as a row of `model_prices`; `*` in a model's name becomes LIKE's `%`."""
        literal = self.model.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return (
            *(literal.replace("*", "%"), self.speed, self.prompt_over, self.since.isoformat()),
            *(self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read),
        )


def read_prices(path: Path | None = None) -> list[Price]:
    """Read a file of prices, the bundled one when none is named. Raises PricesError with all faults."""
    source = path or BUNDLED
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise PricesError(source, [f"it cannot be read ({error.strerror})"]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise PricesError(source, ["it is no YAML"]) from None
    entries = document.get("prices") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise PricesError(source, ["it has no list under the key `prices`"])
    prices, faults = [], []
    for number, entry in enumerate(entries, 1):
        try:
            prices.append(Price.model_validate(entry))
        except ValidationError as error:
            faults += [f"entry {number}, {_fault(fault['loc'], fault['msg'])}" for fault in error.errors()]
    if faults:
        raise PricesError(source, faults)
    return prices


def load_prices(session: Session, prices: list[Price]) -> bool:
    """Make the table hold these prices and no others; tell whether it did not."""
    wanted = sorted(price.row for price in prices)
    if sorted(tuple(row) for row in session.rows(_STORED)) == wanted:
        return False
    session.command("TRUNCATE TABLE model_prices")
    session.command(_FILL, {"prices": json.dumps(wanted)})
    return True


def _fault(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'all of it'}: {message[:1].lower()}{message[1:]}"

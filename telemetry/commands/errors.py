"""What can be wrong where a server, or something in its place, starts: all of it a person can mend."""

from typing import Final

from clickhouse.engine import EngineStartError
from clickhouse.migrations import SchemaError
from clickhouse.prices import PricesError
from clickhouse.store import StoreError
from receiver.rules import RulesError
from telemetry.serve import StartError
from telemetry.settings import SettingsError
from telemetry.tls import TlsError

START_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        SettingsError,
        RulesError,
        PricesError,
        TlsError,
        StartError,
        EngineStartError,
        SchemaError,
        StoreError,
    ),
)

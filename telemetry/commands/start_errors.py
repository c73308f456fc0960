"""The errors at the start of a server, or of a command that takes its place. A person can correct each of them."""

from typing import Final

from clickhouse.engine import EngineStartError
from clickhouse.migrations import SchemaError
from clickhouse.prices import PricesError
from clickhouse.store import StoreError
from config.data_directory import StartError
from config.settings import SettingsError
from privacy.rules import RulesError
from receiver.native import NativeError
from telemetry.listeners.tls import TlsError

START_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        SettingsError,
        RulesError,
        NativeError,
        PricesError,
        TlsError,
        StartError,
        EngineStartError,
        SchemaError,
        StoreError,
    ),
)

"""Every setting, declared once: its environment variable, type, default and meaning.

Settings are read from the environment, and from a `.env` file in the working directory, by the names declared here
and no others. Wrong settings stop the start, and the error lists all problems at once. It repeats no value, since some
are secrets.
"""

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.faults import described
from config.http_address import is_http_address
from privacy.rules import Level

_PLACEHOLDER = re.compile(
    r"change[-_ ]?me|changeit|password|secret|token|your[-_ ].*|<.*>|x+|\.{3}", re.IGNORECASE
)

_KEY_CHARACTERS = 32

CLUSTER_NAME: Final = r"[\w{}.-]+"
"""A cluster's name, or a macro in braces; it is written into statements as it is."""

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """One or more settings are wrong; the text lists them, each with its remedy."""


class Settings(BaseSettings):
    """The server's settings. Port 0 means any free one."""

    # Not populate_by_name: the bare names of the fields, such as QUERIES, would be read from the environment too.
    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=True
    )

    host: str = Field("127.0.0.1", alias="TELEMETRY_HOST", description="Address to listen on.")
    host_names: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_HOST_NAMES",
        description="Host names by which the HTTP ports may be asked when TELEMETRY_HOST is a loopback address,"
        " separated by commas, such as host.docker.internal. localhost and loopback addresses need none.",
    )
    otlp_grpc_port: Port = Field(4317, alias="TELEMETRY_OTLP_GRPC_PORT", description="OTLP over gRPC.")
    otlp_http_port: Port = Field(
        4318, alias="TELEMETRY_OTLP_HTTP_PORT", description="OTLP over HTTP (protobuf and JSON)."
    )
    clickhouse_http_port: Port = Field(
        8123,
        alias="TELEMETRY_CLICKHOUSE_HTTP_PORT",
        description="ClickHouse's HTTP interface, over the embedded tables.",
    )
    metrics_port: Port = Field(
        8888, alias="TELEMETRY_METRICS_PORT", description="The server's own Prometheus metrics, at /metrics."
    )
    health_port: Port = Field(
        13133, alias="TELEMETRY_HEALTH_PORT", description="Health: /live, and /ready (also at /)."
    )
    web_port: Port | Literal["off"] = Field(
        8080,
        alias="TELEMETRY_WEB_PORT",
        description="MCP over HTTP at /mcp, in a process of its own. off: that process is left out.",
    )
    mcp_telemetry: str = Field(
        "",
        alias="TELEMETRY_MCP_TELEMETRY",
        description="Where our own MCP server sends its telemetry, such as http://localhost:4318. Unset: nowhere.",
        pattern=r"^(https?://.+)?$",
    )
    web_host: str = Field(
        "127.0.0.1", alias="TELEMETRY_WEB_HOST", description="Address that the web process listens on."
    )
    web_names: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_WEB_NAMES",
        description="Host names by which the web process may be asked, separated by commas. localhost and addresses"
        " need none.",
    )
    web_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        validate_default=True,
        alias="TELEMETRY_WEB_TOKENS",
        description="Bearer tokens that may ask the web process, written as TELEMETRY_INGEST_TOKENS are. On loopback"
        " the generated one in credentials.env in the data directory is accepted too.",
    )
    web_roles: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_WEB_ROLES",
        description="Whose data each holder of a token sees on the page, separated by commas: NAME:user:USER (one"
        " person's, as the question `users` names them) or NAME:team:TEAM. Who is not listed sees all. Who is listed"
        " may use the page alone: not MCP, REST or SQL.",
    )
    data_dir: Path = Field(
        Path("data"), alias="TELEMETRY_DATA_DIR", description="Where the embedded tables are kept."
    )
    clickhouse_url: str | None = Field(
        None,
        alias="CLICKHOUSE_URL",
        description="A ClickHouse server's HTTP address, such as http://clickhouse:8123. Unset: embedded.",
    )
    clickhouse_user: str = Field(
        "telemetry_user", alias="CLICKHOUSE_USER", description="The user who reads and writes.", min_length=1
    )
    clickhouse_password: SecretStr = Field(
        SecretStr(""),
        alias="CLICKHOUSE_PASSWORD",
        description="That user's password. Embedded and unset: generated, in credentials.env in the data directory.",
    )
    reader_user: str = Field(
        "telemetry_reader",
        alias="TELEMETRY_READER_USER",
        description="The user who only reads.",
        min_length=1,
    )
    reader_password: SecretStr = Field(
        SecretStr(""),
        alias="TELEMETRY_READER_PASSWORD",
        description="That user's password. Embedded and unset: generated, as the other one.",
    )
    queries: int = Field(
        4,
        alias="TELEMETRY_QUERIES",
        description="How many queries run at a time (embedded), for each of the two users; others wait ten seconds.",
        ge=1,
        le=100,
    )
    query_seconds: float = Field(
        60.0,
        alias="TELEMETRY_QUERY_SECONDS",
        description="How long a reader's query may run (embedded).",
        gt=0,
        le=86_400,
    )
    query_memory_bytes: int = Field(
        1 << 30,
        alias="TELEMETRY_QUERY_MEMORY_BYTES",
        description="Memory that a reader's query may take (embedded).",
        ge=1 << 20,
    )
    queries_memory_bytes: int = Field(
        2 << 30,
        alias="TELEMETRY_QUERIES_MEMORY_BYTES",
        description="Memory that all readers' queries may take together (embedded); a query gets what others leave it.",
        ge=1 << 20,
    )
    query_result_rows: int = Field(
        10_000_000,
        alias="TELEMETRY_QUERY_RESULT_ROWS",
        description="Rows that a reader's query may return.",
        ge=1,
    )
    query_result_bytes: int = Field(
        1 << 30,
        alias="TELEMETRY_QUERY_RESULT_BYTES",
        description="Bytes that a reader's query may return.",
        ge=1024,
    )
    query_days: float = Field(
        30.0,
        alias="TELEMETRY_QUERY_DAYS",
        description="The longest period, in days, that a question of the tools for programs may ask about.",
        gt=0,
        le=3650,
    )
    queries_per_minute: float = Field(
        10.0,
        alias="TELEMETRY_QUERIES_PER_MINUTE",
        description="Questions a minute that each caller of these tools may ask.",
        gt=0,
        le=1_000_000,
    )
    queries_at_once: int = Field(
        10,
        alias="TELEMETRY_QUERIES_AT_ONCE",
        description="How many of these each caller may save up, and ask in a row.",
        ge=1,
        le=1_000_000,
    )
    tool_result_bytes: int = Field(
        1_000_000,
        alias="TELEMETRY_TOOL_RESULT_BYTES",
        description="Bytes of a result that these tools read; what has no room in an answer comes page by page.",
        ge=10_000,
        le=1 << 30,
    )
    query_cache_seconds: float = Field(
        300.0,
        alias="TELEMETRY_QUERY_CACHE_SECONDS",
        description="How long these tools keep the answer to a question. 0: not at all.",
        ge=0,
        le=86_400,
    )
    query_cache_bytes: int = Field(
        50 << 20,
        alias="TELEMETRY_QUERY_CACHE_BYTES",
        description="Bytes of memory for such answers.",
        ge=0,
        le=64 << 30,
    )
    aggregation_cache_seconds: float = Field(
        3600.0,
        alias="TELEMETRY_AGGREGATION_CACHE_SECONDS",
        description="How long these tools keep sums and statistics of a period. 0: not at all.",
        ge=0,
        le=86_400,
    )
    aggregation_cache_bytes: int = Field(
        100 << 20,
        alias="TELEMETRY_AGGREGATION_CACHE_BYTES",
        description="Bytes of memory for those.",
        ge=0,
        le=64 << 30,
    )
    clickhouse_cluster: str | None = Field(
        None,
        alias="CLICKHOUSE_CLUSTER",
        description="The name of that server's cluster, to make the tables replicated and spread over its shards."
        " Unset: one server.",
        pattern=f"^{CLUSTER_NAME}$",
    )
    clickhouse_ca_file: Path | None = Field(
        None,
        alias="CLICKHOUSE_CA_FILE",
        description="Certificates (PEM) to trust for https. Unset: those of the system.",
    )
    clickhouse_connect_seconds: float = Field(
        5.0,
        alias="CLICKHOUSE_CONNECT_SECONDS",
        description="How long to wait for a connection to the ClickHouse server.",
        gt=0,
        le=600,
    )
    clickhouse_insert_seconds: float = Field(
        60.0,
        alias="CLICKHOUSE_INSERT_SECONDS",
        description="How long an insert may take; past that its block goes to the spool and is tried again.",
        gt=0,
        le=3600,
    )
    database: str = Field(
        "telemetry",
        alias="CLICKHOUSE_DATABASE",
        description="The database that holds the tables.",
        min_length=1,
    )
    retention_days: int = Field(
        90,
        alias="TELEMETRY_RETENTION_DAYS",
        description="Days that rows are kept, but for MCP servers' analytics. A change takes effect at the next start.",
        ge=1,
        le=3650,
    )
    analytics_retention_days: int = Field(
        30,
        alias="TELEMETRY_ANALYTICS_RETENTION_DAYS",
        description="Days that the three tables of MCP servers' analytics are kept.",
        ge=1,
        le=3650,
    )
    tls_certificate: Path | None = Field(
        None,
        alias="TELEMETRY_TLS_CERTIFICATE",
        description="PEM file of the OTLP ports' certificate, with those up to its authority. Unset: no TLS.",
    )
    tls_key: Path | None = Field(
        None,
        validate_default=True,
        alias="TELEMETRY_TLS_KEY",
        description="PEM file of that certificate's private key, not encrypted.",
    )
    tls_client_ca: Path | None = Field(
        None,
        alias="TELEMETRY_TLS_CLIENT_CA",
        description="PEM file of the authorities whose certificates clients must show. Unset: none is required.",
    )
    ingest_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        validate_default=True,
        alias="TELEMETRY_INGEST_TOKENS",
        description="Bearer tokens that may send, separated by commas, each as NAME:TOKEN or TOKEN alone."
        " None: anyone may, on loopback or with a client certificate only.",
    )
    rate_limit_bytes: int | None = Field(
        None,
        alias="TELEMETRY_RATE_LIMIT_BYTES",
        description="Bytes a second, uncompressed, that each token's name may send; ten seconds' worth at once."
        " Past that it is told to try later. Unset: any.",
        ge=1024,
    )
    hash_key: SecretStr = Field(
        SecretStr(""),
        alias="TELEMETRY_HASH_KEY",
        description="Key for HMAC-SHA256 in place of SHA256, so that hashes of short values cannot be guessed. Embedded"
        " and unset: generated at the first start, in credentials.env in the data directory. off: none.",
    )
    sanitize_config: Path | None = Field(
        None, alias="TELEMETRY_SANITIZE_CONFIG", description="Privacy rules. Unset: the bundled ones."
    )
    sanitize_level: Level = Field(
        Level.strict,
        alias="TELEMETRY_SANITIZE_LEVEL",
        description="strict: hash content and redact patterns. balanced: redact patterns and drop keys, but keep"
        " content. off: keep all.",
    )
    transform: Literal["auto", "native", "sql"] = Field(
        "auto",
        alias="TELEMETRY_TRANSFORM",
        description="What turns requests into rows: sql, statements of the engine; native, one pass in Rust that makes"
        " the same rows, also reads OTLP/JSON, and has to be built; auto, the native pass where it is installed.",
    )
    prices: Path | None = Field(
        None,
        alias="TELEMETRY_PRICES",
        description="File of model prices, to compare with clients' reported costs. Unset: the bundled list prices.",
    )
    validation_rules: Path | None = Field(
        None,
        alias="TELEMETRY_VALIDATION_RULES",
        description="Between what bounds values are plausible, for data quality. Unset: the bundled rules.",
    )
    max_request_bytes: int = Field(
        16 << 20,
        alias="TELEMETRY_MAX_REQUEST_BYTES",
        description="Largest request, uncompressed, in bytes.",
        ge=1024,
        le=1 << 30,
    )
    max_request_records: int = Field(
        50_000,
        alias="TELEMETRY_MAX_REQUEST_RECORDS",
        description="Most spans, log records or data points of a request.",
        ge=1,
        le=10_000_000,
    )
    max_request_elements: int = Field(
        1_000_000,
        alias="TELEMETRY_MAX_REQUEST_ELEMENTS",
        description="Most attributes, events, links, exemplars and other repeated elements of a request.",
        ge=1000,
        le=100_000_000,
    )
    max_record_elements: int = Field(
        20_000,
        alias="TELEMETRY_MAX_RECORD_ELEMENTS",
        description="Most of them in one record, a resource or a scope, with the items of lists inside of attributes.",
        ge=100,
        le=10_000_000,
    )
    max_expanded_bytes: int = Field(
        512 << 20,
        alias="TELEMETRY_MAX_EXPANDED_BYTES",
        description="Most bytes of a request's resources and scopes, each counted once for each of its records, with"
        " which it is stored.",
        ge=1 << 20,
        le=64 << 30,
    )
    arriving_bytes: int = Field(
        256 << 20,
        alias="TELEMETRY_ARRIVING_BYTES",
        description="Bytes of requests that may be on their way, half of them over gRPC, where each message counts with"
        " TELEMETRY_MAX_REQUEST_BYTES; past that those that take long are told to try later.",
        ge=1 << 20,
        le=64 << 30,
    )
    batch_bytes: int = Field(
        16 << 20,
        alias="TELEMETRY_BATCH_BYTES",
        description="A batch is flushed when its requests reach this many bytes.",
        ge=1024,
        le=1 << 30,
    )
    batch_records: int = Field(
        50_000,
        alias="TELEMETRY_BATCH_RECORDS",
        description="A batch is flushed when it holds this many spans, log records or data points.",
        ge=1,
        le=10_000_000,
    )
    batch_age_ms: int = Field(
        200,
        alias="TELEMETRY_BATCH_AGE_MS",
        description="A batch is flushed when its oldest request has waited this many milliseconds.",
        ge=0,
        le=60_000,
    )
    queue_bytes: int = Field(
        256 << 20,
        alias="TELEMETRY_QUEUE_BYTES",
        description="Bytes of requests that may wait in memory; past that clients are told to try later.",
        ge=1024,
        le=64 << 30,
    )
    spool_bytes: int = Field(
        4 << 30,
        alias="TELEMETRY_SPOOL_BYTES",
        description="Bytes on disk that may wait for ClickHouse, dead letters included; past that clients are told to"
        " try later.",
        ge=1 << 20,
    )
    unready_seconds: float = Field(
        30.0,
        alias="TELEMETRY_UNREADY_SECONDS",
        description="How long batches can be neither inserted nor spooled before /ready answers 503, so that load"
        " balancers turn away. It is ready again as soon as one can.",
        ge=0,
        le=86_400,
    )
    resend_seconds: float = Field(
        900.0,
        alias="TELEMETRY_RESEND_SECONDS",
        description="How long a stored request is remembered, so that a resent one is not stored again."
        " 0: not at all, and neither are records that come again in another request.",
        ge=0,
        le=86_400,
    )
    body_timeout_seconds: float = Field(
        30.0,
        alias="TELEMETRY_BODY_TIMEOUT_SECONDS",
        description="How long a client may take to send its headers, and then its body or message; on the ClickHouse"
        " port, each piece of it.",
        gt=0,
        le=3600,
    )
    shutdown_seconds: float = Field(
        20.0,
        alias="TELEMETRY_SHUTDOWN_SECONDS",
        description="How long stopping may wait for requests under way; after half of it they go to the spool.",
        gt=0,
        le=3600,
    )
    state_url: SecretStr = Field(
        SecretStr(""),
        alias="TELEMETRY_STATE_URL",
        description="PostgreSQL for connections to other systems and the history of questions, such as"
        " postgresql://user:password@host/database, for several instances. Unset: state.db in the data directory.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        alias="TELEMETRY_SECRET_KEY",
        description="Key that encrypts the credentials of connections, 32 characters or more; older ones that still"
        " decrypt after it, separated by commas. Unset: generated, in secret.key in the data directory.",
    )
    connections_file: Path | None = Field(
        None,
        alias="TELEMETRY_CONNECTIONS_FILE",
        description="YAML file of connections to other systems, beside those of the state, read at the start.",
    )
    connector_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_CONNECTOR_NETWORKS",
        description="Networks, separated by commas, that connections may lead to although they are link-local or a"
        " cloud's metadata service, which are refused otherwise.",
    )
    connector_ports: Annotated[tuple[Port, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_CONNECTOR_PORTS",
        description="The only ports that connections may lead to, separated by commas. Unset: any.",
    )
    connector_queries_per_minute: float = Field(
        120.0,
        alias="TELEMETRY_CONNECTOR_QUERIES_PER_MINUTE",
        description="Questions a minute to other systems, of each caller and to each connection.",
        gt=0,
        le=1_000_000,
    )
    connector_queries_at_once: int = Field(
        60,
        alias="TELEMETRY_CONNECTOR_QUERIES_AT_ONCE",
        description="How many of these each may save up, and ask in a row.",
        ge=1,
        le=1_000_000,
    )
    connector_health_seconds: float = Field(
        60.0,
        alias="TELEMETRY_CONNECTOR_HEALTH_SECONDS",
        description="How often the web process checks the health of connections. 0: only on demand.",
        ge=0,
        le=86_400,
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="TELEMETRY_CORS_ORIGINS",
        description="Origins whose pages may send over HTTP, separated by commas, * as a wildcard. None: off.",
    )
    budget_usd_month: float | None = Field(
        None,
        alias="TELEMETRY_BUDGET_USD_MONTH",
        description="Budget for a month of Claude Code, in dollars, for the alerts of prometheus/, and for when it will"
        " be reached, in the report and on the page. Unset: none.",
        gt=0,
    )
    alert_webhook: SecretStr = Field(
        SecretStr(""),
        alias="TELEMETRY_ALERT_WEBHOOK",
        description="Address of a chat's webhook (Slack, Mattermost, Discord with /slack at its end), to which each new"
        " finding is sent once. The address is a secret. Unset: none.",
    )
    alert_ca_file: Path | None = Field(
        None,
        alias="TELEMETRY_ALERT_CA_FILE",
        description="Certificates (PEM) to trust for the webhook's https. Unset: those of the system.",
    )
    alert_seconds: float | None = Field(
        None,
        alias="TELEMETRY_ALERT_SECONDS",
        description="How often the web process looks for findings, for the webhook and for its metrics. 0: never."
        " Unset: once an hour with a webhook, else never.",
        ge=0,
        le=86_400,
    )
    backup_dir: Path = Field(
        Path("backups"), alias="TELEMETRY_BACKUP_DIR", description="The folder that backups are kept in."
    )
    backup_keep: int = Field(
        7,
        alias="TELEMETRY_BACKUP_KEEP",
        description="How many backups are kept; older ones are removed.",
        ge=1,
    )
    backup_recipient: str | None = Field(
        None,
        alias="TELEMETRY_BACKUP_RECIPIENT",
        description="Public key (age1…) that backups are encrypted to. Unset: they are not encrypted.",
    )
    export_dir: Path | None = Field(
        None,
        alias="TELEMETRY_EXPORT_DIR",
        description="The folder that exports are kept in. Unset: exports in the data directory.",
    )
    export_bytes: int = Field(
        1 << 30,
        alias="TELEMETRY_EXPORT_BYTES",
        description="Bytes of all exports together up to which the tools for programs may write one. The command"
        " telemetry export has no such bound.",
        ge=1 << 20,
    )
    log_format: Literal["console", "json"] = Field(
        "console", alias="TELEMETRY_LOG_FORMAT", description="console for people, json for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="TELEMETRY_LOG_LEVEL", description="The least severe messages that are logged."
    )

    @field_validator(
        "ingest_tokens", "web_tokens", "web_names", "web_roles", "host_names", "cors_origins",
        "connector_networks", "connector_ports", mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("clickhouse_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not is_http_address(value):
            raise ValueError(
                "must be an HTTP address without user and path, such as http://localhost:8123:"
                " user and password are CLICKHOUSE_USER and CLICKHOUSE_PASSWORD"
            )
        return value

    @field_validator("state_url")
    @classmethod
    def _is_database(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not text.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "must be PostgreSQL's address, such as postgresql://user:password@host/database; without it the state"
                " is a file in the data directory"
            )
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_webhook(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
            raise ValueError(
                "must be the address of a webhook as the chat shows it, such as https://hooks.slack.com/services/…"
            )
        return value

    @field_validator("secret_key")
    @classmethod
    def _are_long(cls, value: SecretStr) -> SecretStr:
        keys = [part.strip() for part in value.get_secret_value().split(",") if part.strip()]
        if any(len(key) < _KEY_CHARACTERS for key in keys):
            raise ValueError(
                f"has a key of fewer than {_KEY_CHARACTERS} characters: take the output of `openssl rand -hex 32`"
            )
        return value

    @field_validator("reader_user")
    @classmethod
    def _differs(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("clickhouse_user"):
            raise ValueError("must differ from CLICKHOUSE_USER, who may write")
        return value

    @field_validator("tls_key")
    @classmethod
    def _has_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("must be set together with TELEMETRY_TLS_CERTIFICATE: TLS needs both, or none")
        return value

    @field_validator("tls_client_ca")
    @classmethod
    def _has_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("tls_certificate") is None:
            raise ValueError("needs TELEMETRY_TLS_CERTIFICATE and TELEMETRY_TLS_KEY to be set as well")
        return value

    @field_validator("web_roles")
    @classmethod
    def _are_roles(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[\w.-]{1,64}:(?:user|team):.{1,200}", role) for role in value):
            raise ValueError("has a role that is neither NAME:user:USER nor NAME:team:TEAM")
        known = {name for name, _ in _named(info.data.get("web_tokens", ()))}
        if unknown := sorted({role.partition(":")[0] for role in value} - known):
            raise ValueError(
                f"names {', '.join(unknown)}, who has no token in TELEMETRY_WEB_TOKENS: give each a token there,"
                " written NAME:TOKEN"
            )
        return value

    @field_validator("ingest_tokens", "web_tokens")
    @classmethod
    def _are_named(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        pairs = _named(value)
        if any(not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII) or not token for name, token in pairs):
            raise ValueError(
                "has a token that is not NAME:TOKEN: the text before its first colon must be a name of letters,"
                " digits, dots, dashes and underscores, and a token must follow; so name a token that has a colon"
            )
        if len({token for _, token in pairs}) < len(pairs):
            raise ValueError("has the same token twice: give each sender a token of its own")
        return value

    @field_validator("clickhouse_password", "reader_password", "hash_key", "ingest_tokens", "web_tokens")
    @classmethod
    def _is_chosen(cls, value: SecretStr | tuple[SecretStr, ...]) -> SecretStr | tuple[SecretStr, ...]:
        secrets = value if isinstance(value, tuple) else (value,)
        # A token may have its sender's name before it.
        texts = [secret.get_secret_value().rpartition(":")[2].strip() for secret in secrets]
        if any(_PLACEHOLDER.fullmatch(text) for text in texts):
            raise ValueError(
                "holds a placeholder that everybody knows: set it to a secret of your own"
                " (such as the output of `openssl rand -hex 32`), or let scripts/make-env.sh write .env"
            )
        return value

    @field_validator("ingest_tokens")
    @classmethod
    def _guards(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        is_open = info.data.get("tls_client_ca") is None and not is_loopback(info.data.get("host", ""))
        if not value and is_open:
            raise ValueError(
                "must be set, since TELEMETRY_HOST is not a loopback address and anyone on the network could send:"
                " set it to one or more secrets (such as the output of `openssl rand -hex 32`),"
                " or set TELEMETRY_HOST=127.0.0.1, or TELEMETRY_TLS_CLIENT_CA"
            )
        return value

    @field_validator("web_tokens")
    @classmethod
    def _guard_the_web(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if (
            not value
            and info.data.get("web_port") != "off"
            and not is_loopback(info.data.get("web_host", ""))
        ):
            raise ValueError(
                "must be set, since TELEMETRY_WEB_HOST is not a loopback address and anyone on the network could read:"
                " set it to one or more NAME:TOKEN (the token such as the output of `openssl rand -hex 32`),"
                " or set TELEMETRY_WEB_HOST=127.0.0.1, or TELEMETRY_WEB_PORT=off"
            )
        return value

    @property
    def exports(self) -> Path:
        """The folder that exports are kept in, for the command and for the tools."""
        return self.export_dir or self.data_dir / "exports"

    @property
    def readers(self) -> list[tuple[str, str]]:
        """The tokens of TELEMETRY_WEB_TOKENS, as `tokens` has those that may send."""
        return _named(self.web_tokens)

    @property
    def roles(self) -> dict[str, tuple[str, str]]:
        """Whose data the holder of a token sees, by the token's name: the kind, `user` or `team`, and which."""
        split = (role.split(":", 2) for role in self.web_roles)
        return {name: (kind, which) for name, kind, which in split}

    @property
    def tokens(self) -> list[tuple[str, str]]:
        """The accepted bearer tokens, in clear, each after its name: by default its place, such as `token-2`."""
        return _named(self.ingest_tokens)


def load() -> Settings:
    """Read the settings. Raises SettingsError, which lists every problem."""
    try:
        return Settings()  # type: ignore[call-arg]  # pydantic fills them from the environment
    except ValidationError as refused:
        problems = [_problem(error) for error in refused.errors(include_input=False, include_url=False)]
        raise SettingsError("\n".join(problems)) from None


def _named(tokens: Sequence[SecretStr]) -> list[tuple[str, str]]:
    pairs = []
    for place, secret in enumerate(tokens, 1):
        before, colon, after = secret.get_secret_value().partition(":")
        pairs.append((before, after) if colon else (f"token-{place}", before))
    return pairs


def _problem(error: Any) -> str:
    message = described(error)
    name = str(error["loc"][0]) if error["loc"] else ""
    if name in Settings.model_fields:
        name = str(Settings.model_fields[name].alias)
    return f"{name}: {message}" if name else message


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Return the address, as in a URL, at which a client on this machine reaches a server that listens on `host`."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  not to listen on
    return f"[{address}]" if ":" in address else address

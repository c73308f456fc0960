"""Settings: their defaults, the `.env` file, and an error that lists every problem without a value."""

import os
from pathlib import Path

import pytest

from config.misspelt import misspelt
from config.settings import Settings, SettingsError, is_loopback, load

NAMES = [field.alias or name for name, field in Settings.model_fields.items()]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from the tests' own environment or working directory."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_those_that_are_documented() -> None:
    """Ports and names that other programs rely on."""
    settings = load()
    assert {name: getattr(settings, name) for name in (
        "host", "otlp_grpc_port", "otlp_http_port", "metrics_port", "health_port", "data_dir",
        "clickhouse_url",
        "clickhouse_user", "database", "retention_days", "tokens", "sanitize_config", "sanitize_level",
    )} == {
        "host": "127.0.0.1",
        "otlp_grpc_port": 4317,
        "otlp_http_port": 4318,
        "metrics_port": 8888,
        "health_port": 13133,
        "data_dir": Path("data"),
        "clickhouse_url": None,
        "clickhouse_user": "telemetry_user",
        "database": "telemetry",
        "retention_days": 90,
        "tokens": [],
        "sanitize_config": None,
        "sanitize_level": "strict",
    }  # fmt: skip
    assert settings.hash_key.get_secret_value() == ""
    assert settings.clickhouse_password.get_secret_value() == ""


def test_every_setting_has_a_name_of_its_own_and_a_meaning() -> None:
    """One environment variable each, described."""
    assert len(set(NAMES)) == len(NAMES)
    assert [name for name in NAMES if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))] == []
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_all_faults_are_told_at_once_and_no_value_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its variable's name; some values are secrets, so none is shown."""
    wrong = {
        "TELEMETRY_OTLP_GRPC_PORT": "70001",
        "TELEMETRY_OTLP_HTTP_PORT": "hunter2-port",
        "TELEMETRY_RETENTION_DAYS": "0",
        "TELEMETRY_LOG_FORMAT": "hunter2-format",
        "TELEMETRY_SANITIZE_LEVEL": "hunter2-level",
        "TELEMETRY_BATCH_BYTES": "12",
        "CLICKHOUSE_URL": "http://user:hunter2-password@host:8123",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    text = str(caught.value)
    assert [line.partition(":")[0] for line in text.splitlines()] == [name for name in NAMES if name in wrong]
    assert "hunter2" not in text
    assert "70001" not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "telemetry.example.com"])
def test_a_reachable_address_without_tokens_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Anyone on the network could send otherwise."""
    monkeypatch.setenv("TELEMETRY_HOST", host)
    with pytest.raises(SettingsError) as caught:
        load()
    text = str(caught.value)
    assert text.startswith(
        "TELEMETRY_INGEST_TOKENS: must be set, since TELEMETRY_HOST is not a loopback address"
    )
    assert "openssl rand -hex 32" in text
    assert "or set TELEMETRY_HOST=127.0.0.1" in text
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", "hunter2")
    assert load().host == host


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_tokens_of_nothing_are_no_tokens(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An empty token would let everyone in."""
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", value)
    assert load().tokens == []
    monkeypatch.setenv("TELEMETRY_HOST", "0.0.0.0")
    with pytest.raises(SettingsError):
        load()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """White space around the parts does not count."""
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", "one, two ,three,")
    monkeypatch.setenv("TELEMETRY_CORS_ORIGINS", "https://a.example, https://*.b.example")
    settings = load()
    assert settings.tokens == [("token-1", "one"), ("token-2", "two"), ("token-3", "three")]
    assert settings.cors_origins == ("https://a.example", "https://*.b.example")


def test_tokens_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text before the first colon is the name; two tokens of one name are one sender, as in a rotation."""
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", "ci:one,two,ci:three:and-more, Team_4.x-y:four")
    assert load().tokens == [
        ("ci", "one"),
        ("token-2", "two"),
        ("ci", "three:and-more"),
        ("Team_4.x-y", "four"),
    ]


@pytest.mark.parametrize(
    "value", [":hunter2", "ci:", "a b:hunter2", "hunter2/+=:x", "ci\u00e9:hunter2", f"{'x' * 65}:hunter2"]
)
def test_a_token_without_a_right_name_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Names become labels; a bare token that holds a colon would be cut in two."""
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", f"good:one,{value}")
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value).startswith("TELEMETRY_INGEST_TOKENS: has a token that is not NAME:TOKEN")
    assert "hunter2" not in str(caught.value)


def test_one_token_cannot_name_two_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not say who sent."""
    monkeypatch.setenv("TELEMETRY_INGEST_TOKENS", "one:hunter2,two:hunter2")
    with pytest.raises(SettingsError) as caught:
        load()
    assert (
        str(caught.value)
        == "TELEMETRY_INGEST_TOKENS: has the same token twice: give each sender a token of its own"
    )


def test_half_of_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate needs its key; clients' certificates need TLS."""
    monkeypatch.setenv("TELEMETRY_TLS_CERTIFICATE", "server.pem")
    with pytest.raises(SettingsError, match=r"^TELEMETRY_TLS_KEY: must be set together"):
        load()
    monkeypatch.delenv("TELEMETRY_TLS_CERTIFICATE")
    monkeypatch.setenv("TELEMETRY_TLS_KEY", "server.key")
    monkeypatch.setenv("TELEMETRY_TLS_CLIENT_CA", "ca.pem")
    with pytest.raises(SettingsError) as caught:
        load()
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "TELEMETRY_TLS_KEY",
        "TELEMETRY_TLS_CLIENT_CA",
    ]


def test_client_certificates_guard_a_reachable_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client must then show a certificate, so tokens are optional."""
    for name, value in {
        "HOST": "0.0.0.0",
        "TLS_CERTIFICATE": "a",
        "TLS_KEY": "b",
        "TLS_CLIENT_CA": "c",
    }.items():
        monkeypatch.setenv(f"TELEMETRY_{name}", value)
    assert load().tokens == []


def test_secrets_are_not_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings object in a log or a traceback shows none."""
    for name in ("CLICKHOUSE_PASSWORD", "TELEMETRY_HASH_KEY", "TELEMETRY_INGEST_TOKENS"):
        monkeypatch.setenv(name, "hunter2")
    settings = load()
    assert settings.tokens == [("token-1", "hunter2")]
    assert "hunter2" not in f"{settings!r} {settings}"


def test_a_dotenv_file_is_read_and_the_environment_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lines of `.env` are settings; other programs' lines are ignored."""
    (tmp_path / ".env").write_text(
        "TELEMETRY_RETENTION_DAYS=30\nTELEMETRY_OTLP_GRPC_PORT=5317\nGRAFANA_PORT=3000\n# a comment\n"
    )
    monkeypatch.setenv("TELEMETRY_OTLP_GRPC_PORT", "6317")
    settings = load()
    assert (settings.retention_days, settings.otlp_grpc_port) == (30, 6317)


def test_a_misspelt_name_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment and in `.env`; what belongs to other programs is left alone."""
    for name in (
        "TELEMETRY_MEMORY",
        "TELEMETRY_PORT",
        "TELEMETRY_SERVICE_PORT",
        "TELEMETRY_WEB_TOKEN",
        "CLICKHOUSE_PORT",
    ):
        monkeypatch.setenv(name, "1")
    assert misspelt(os.environ) == []
    monkeypatch.setenv("TELEMETRY_RETENTION_DAY", "secret")
    (tmp_path / ".env").write_text("export CLICKHOSE_URL=secret\ntelemetry_host=secret\n")
    assert misspelt(os.environ) == [
        "CLICKHOSE_URL is no setting and has no effect: did you mean CLICKHOUSE_URL?",
        "TELEMETRY_RETENTION_DAY is no setting and has no effect: did you mean TELEMETRY_RETENTION_DAYS?",
        "telemetry_host is no setting and has no effect: did you mean TELEMETRY_HOST?",
    ]


# Values that some field, whatever its type, would take or refuse.
STRAY = ("x", "1", "2048", "true")


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_variable_without_the_prefix_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, field: str
) -> None:
    """`QUERIES` in a shell, or in another program's lines of `.env`, changes nothing and stops nothing."""
    plain = load()
    for name in {field.upper(), field.lower(), field.title()} - set(NAMES):
        for value in STRAY:
            with monkeypatch.context() as shell:
                shell.setenv(name, value)
                assert load() == plain
            (tmp_path / ".env").write_text(f"{name}={value}\n")
            assert load() == plain
            (tmp_path / ".env").unlink()


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Compose files pass variables that are not set as empty ones."""
    monkeypatch.setenv(name, "")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("http://clickhouse:8123", True),
        ("https://ch.example.com", True),
        ("http://127.0.0.1:8123/", True),
        ("clickhouse:8123", False),
        ("tcp://clickhouse:9000", False),
        ("http://clickhouse:8123/path", False),
        ("http://user:password@clickhouse:8123", False),
        ("http://clickhouse:port", False),
        ("http://:8123", False),
    ],
)
def test_a_clickhouse_url_is_an_http_address(monkeypatch: pytest.MonkeyPatch, url: str, right: bool) -> None:  # noqa: FBT001  a case's column
    """Credentials have settings of their own."""
    monkeypatch.setenv("CLICKHOUSE_URL", url)
    if right:
        assert load().clickhouse_url == url
    else:
        with pytest.raises(SettingsError, match="CLICKHOUSE_URL"):
            load()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_network(host: str, loopback: bool) -> None:  # noqa: FBT001  a case's column
    """An address that is not known to be loopback counts as the network."""
    assert is_loopback(host) is loopback

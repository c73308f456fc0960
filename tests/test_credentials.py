"""The passwords of the embedded server: generated, or chosen and long enough."""

from pathlib import Path

import pytest

from config.credentials import hash_key, made_hash_key, passwords
from config.data_directory import StartError
from config.settings import load


@pytest.mark.usefixtures("home")
def test_a_short_chosen_password_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting and the remedy, and without the password; one of the least length is taken."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hunter2")
    monkeypatch.setenv("TELEMETRY_READER_PASSWORD", "0123456789")
    with pytest.raises(StartError, match=r"^CLICKHOUSE_PASSWORD: .*`openssl rand") as caught:
        passwords(load(), tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "TELEMETRY_READER_PASSWORD" not in str(caught.value)
    monkeypatch.delenv("CLICKHOUSE_PASSWORD")
    writer, reader = passwords(load(), tmp_path)
    assert (len(writer) >= 32, reader) == (True, "0123456789")


@pytest.mark.usefixtures("home")
def test_a_new_store_has_a_hash_key_and_an_old_one_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generated before the first row; every process reads the same; what is stored still joins after an update."""
    monkeypatch.setenv("TELEMETRY_DATA_DIR", str(tmp_path / "new"))
    (tmp_path / "new").mkdir()
    key = made_hash_key(load(), tmp_path / "new")
    assert len(key) == 64
    passwords(load(), tmp_path / "new")
    (tmp_path / "new/clickhouse").mkdir()
    assert [made_hash_key(load(), tmp_path / "new"), hash_key(load())] == [key, key]
    assert (tmp_path / "new/credentials.env").stat().st_mode & 0o777 == 0o600
    for old in ("store", "file"):
        directory = tmp_path / old
        monkeypatch.setenv("TELEMETRY_DATA_DIR", str(directory))
        (directory / "clickhouse" if old == "store" else directory).mkdir(parents=True)
        passwords(load(), directory)
        assert [made_hash_key(load(), directory), hash_key(load())] == ["", ""]
        monkeypatch.setenv("TELEMETRY_HASH_KEY", "asked-for")
        assert [made_hash_key(load(), directory), hash_key(load())] == ["asked-for", "asked-for"]
        monkeypatch.delenv("TELEMETRY_HASH_KEY")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["TELEMETRY_HASH_KEY", "CLICKHOUSE_URL"])
def test_no_hash_key_is_generated_where_it_is_off_or_receivers_share_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A key of one machine alone would part what several of them store."""
    monkeypatch.setenv("TELEMETRY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(name, "off" if name == "TELEMETRY_HASH_KEY" else "http://localhost:1")
    assert [made_hash_key(load(), tmp_path), hash_key(load())] == ["", ""]
    assert not (tmp_path / "credentials.env").exists()

"""The passwords of the embedded server: generated, or chosen and long enough."""

from pathlib import Path

import pytest

from config.credentials import passwords
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

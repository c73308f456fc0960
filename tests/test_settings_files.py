"""Claude Code's settings files: setup's changes can be undone exactly, and nothing else changes."""

import json
from pathlib import Path

import pytest

from onboarding.settings_files import RECORD, SettingsFileError, add, read, remove, write

OURS = {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRIC_EXPORT_INTERVAL": "10000"}
THEIRS = (
    '{\n\t"model": "opus",\n\t"env": {\n\t\t"FOO": "ünicode",\n'
    '\t\t"OTEL_METRIC_EXPORT_INTERVAL": 60000\n\t},\n\t"hooks": {}\n}'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def test_what_is_there_stays_as_it_is(path: Path) -> None:
    """Order, indentation, letters beyond ASCII, and the missing newline at the end."""
    path.write_text(THEIRS)
    write(add(path, OURS))
    assert path.read_text() == THEIRS.replace(
        "60000\n", '"10000",\n\t\t"CLAUDE_CODE_ENABLE_TELEMETRY": "1"\n'
    )


def test_removing_brings_back_the_file_as_it_was(path: Path) -> None:
    """Byte for byte, with the value that setup replaced, also after setup ran twice."""
    path.write_text(THEIRS)
    write(add(path, OURS))
    write(add(path, {**OURS, "OTEL_LOG_USER_PROMPTS": "1"}))
    write(remove(path))
    assert path.read_text() == THEIRS
    assert not path.with_name(RECORD).exists()


def test_a_file_made_for_telemetry_goes_with_it(path: Path) -> None:
    """No file or folder of setup's is left."""
    write(add(path, OURS))
    assert json.loads(path.read_text()) == {"env": OURS}
    assert path.stat().st_mode & 0o777 == 0o600
    write(remove(path))
    assert not path.exists()


def test_a_file_that_gained_other_settings_stays(path: Path) -> None:
    """Only setup's variables are removed, and the empty block that was made for them."""
    write(add(path, OURS))
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": "opus"}))
    write(remove(path))
    assert json.loads(path.read_text()) == {"model": "opus"}


def test_what_somebody_changed_since_stays(path: Path) -> None:
    """It is not setup's any more, and it is named."""
    write(add(path, OURS))
    path.write_text(path.read_text().replace("10000", "2000"))
    change = remove(path)
    write(change)
    assert change.left == ("OTEL_METRIC_EXPORT_INTERVAL",)
    assert read(path).env == {"OTEL_METRIC_EXPORT_INTERVAL": "2000"}


def test_what_setup_does_not_set_any_more_goes(path: Path) -> None:
    """A switch that was on in the first run and off in the second is off."""
    write(add(path, {**OURS, "OTEL_LOG_USER_PROMPTS": "1"}))
    write(add(path, OURS))
    assert read(path).env == OURS


def test_the_same_again_changes_nothing(path: Path) -> None:
    """No copy is made and no line is shown."""
    write(add(path, OURS))
    change = add(path, OURS)
    assert (change.diff(), write(change)) == ("", None)


def test_there_is_a_copy_of_what_was_changed(path: Path) -> None:
    """Readable by its owner alone, since it may hold a token."""
    path.write_text(THEIRS)
    backup = write(add(path, OURS))
    assert backup is not None
    assert (backup.read_text(), backup.stat().st_mode & 0o077) == (THEIRS, 0)


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    """People keep these files among their dotfiles."""
    real = tmp_path / "dotfiles.json"
    real.write_text("{}\n")
    path.symlink_to(real)
    write(add(path, OURS))
    assert path.is_symlink()
    assert json.loads(real.read_text()) == {"env": OURS}


def test_the_mode_stays_unless_there_is_a_secret(path: Path) -> None:
    """A file that others may read does not get a token."""
    path.write_text("{}")
    path.chmod(0o644)
    write(add(path, OURS))
    assert path.stat().st_mode & 0o777 == 0o644
    write(add(path, {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer s3cret"}))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_token_is_never_shown(path: Path) -> None:
    """Neither the old nor the new token is shown, only that it changes."""
    path.write_text(
        '{"env": {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer before", "ANTHROPIC_API_KEY": "sk"}}'
    )
    shown = add(path, {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer after"}).diff()
    assert [line for line in shown.splitlines()[2:] if line[0] in "+-"] == [
        '-    "OTEL_EXPORTER_OTLP_HEADERS": "<hidden>",',
        '+    "OTEL_EXPORTER_OTLP_HEADERS": "<hidden, new>",',
    ]
    assert not any(secret in shown for secret in ("before", "after", '"sk"'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,}', "is not JSON: "),
        (
            '{\n// no\n"token": "s3cret"}',
            "is not JSON: Expecting property name enclosed in double quotes at line 2",
        ),
        ("[]", "the file must be a JSON object"),
        ('{"env": "s3cret"}', '"env" must be a JSON object'),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(path: Path, text: str, said: str) -> None:
    """Claude Code ignores the file as a whole; nothing of it is in the message."""
    path.write_text(text)
    with pytest.raises(SettingsFileError) as error:
        add(path, OURS)
    assert said in str(error.value)
    assert "s3cret" not in str(error.value)
    assert path.read_text() == text


def test_a_file_that_cannot_be_written_says_so(path: Path) -> None:
    """And stays as it is."""
    path.write_text("{}")
    change = add(path, OURS)
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsFileError, match="cannot be written"):
        write(change)
    assert list(path.iterdir()) == []


def test_what_was_written_by_hand_is_not_removed(path: Path) -> None:
    """It is named instead."""
    path.write_text(json.dumps({"env": OURS}))
    with pytest.raises(SettingsFileError, match="by hand: CLAUDE_CODE_ENABLE_TELEMETRY, OTEL_METRIC"):
        remove(path)

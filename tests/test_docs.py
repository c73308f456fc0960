"""The documents agree with the code."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from access.usage import UsageMetrics
from clickhouse.migrations import migrations
from config.settings import Settings
from otlp.status import CODES
from receiver.metrics import Metrics
from tests.server import ROOT, Server
from web.metrics import Metrics as WebMetrics

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "queries/README.md"]
VARIABLES = {str(field.alias) for field in Settings.model_fields.values()}
# What a test and the first start name that is no setting.
OTHERS = {"TELEMETRY_TEST_CLAUDE", "TELEMETRY_TEST_INSPECTOR", "TELEMETRY_WEB_TOKEN"}
STACK = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-settings"])

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS]
)


def test_settings_are_documented_as_declared() -> None:
    """docs/configuration.md, .env.template and docker-compose.yml are what scripts/configuration_table.py writes."""
    command = [sys.executable, "scripts/configuration_table.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_questions_are_documented_as_their_headers_say() -> None:
    """queries/README.md is what scripts/questions_table.py writes."""
    command = [sys.executable, "scripts/questions_table.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_template_holds_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of .env.template, uncommented, changes nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    lines = re.findall(r"^# ([A-Z_]+=.*)$", (ROOT / ".env.template").read_text(), re.MULTILINE)
    env = tmp_path / ".env"
    env.write_text("\n".join(lines))
    assert {line.partition("=")[0] for line in lines} == VARIABLES | STACK
    assert Settings(_env_file=env) == Settings(_env_file=None)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link is a file or folder of the repository, and its anchor a heading."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@each_document
def test_variables_are_settings(document: Path) -> None:
    """Every environment variable named is one that the server, OpenTelemetry or Claude Code reads."""
    text = document.read_text()
    named = set(re.findall(r"\b(?:TELEMETRY|CLICKHOUSE)_[A-Z_]*[A-Z]\b", text))
    for line in re.findall(r"^\s*export (.*)$", text, re.MULTILINE):
        named |= set(re.findall(r"\b([A-Z][A-Z_]+)=", line))
    assert {name for name in named if not name.startswith(("OTEL_", "CLAUDE_CODE_"))} <= (
        VARIABLES | STACK | OTHERS
    )


def test_metrics_are_documented_with_their_labels() -> None:
    """docs/operations.md lists each instrument, and no other, as Prometheus sees it."""
    documented = {
        name: set(re.findall(r"\w+", labels))
        for name, labels, _ in table_rows(ROOT / "docs/operations.md", "metric")
    }
    own = Metrics()
    instruments = [
        metric
        for metric in [*vars(own).values(), *vars(UsageMetrics(own.registry)).values()]
        if hasattr(metric, "describe")
    ]
    metrics = {}
    for instrument in instruments:
        if hasattr(instrument, "_labelnames"):  # the registry describes itself too
            (family,) = instrument.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            metrics[name] = set(instrument._labelnames)
    assert documented == metrics


def test_the_web_processs_metrics_are_documented_with_their_labels() -> None:
    """The same of its own."""
    documented = {
        name: set(re.findall(r"\w+", labels))
        for name, labels, _ in table_rows(ROOT / "docs/operations.md", "metric of the web process")
    }
    meters = {}
    for instrument in vars(WebMetrics()).values():
        if hasattr(instrument, "_labelnames"):
            (family,) = instrument.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            meters[name] = set(instrument._labelnames)
    assert documented == meters


def test_metrics_named_anywhere_exist() -> None:
    """A metric in a sentence is one of the table."""
    known = {name for name, _, _ in table_rows(ROOT / "docs/operations.md", "metric")}
    known |= {name for name, _, _ in table_rows(ROOT / "docs/operations.md", "metric of the web process")}
    known |= {"telemetry_user", "telemetry_reader", *(migration.name for migration in migrations())}
    for document in DOCUMENTS:
        named = set(re.findall(r"`(telemetry_[a-z_]+)`", document.read_text()))
        assert named <= known, document.name


def test_answers_are_documented() -> None:
    """docs/architecture.md gives each reason, and no other, the codes that a client gets."""
    documented = {
        reason: (grpc, http)
        for reason, _, grpc, http, _ in table_rows(ROOT / "docs/architecture.md", "reason")
        if reason
    }
    assert set(documented) == set(CODES)
    for part in ("untyped_metric", "unknown_fields"):  # of a request that succeeds
        del documented[part]
    for reason, answer in CODES.items():
        grpc, http = documented.get(reason, (answer.grpc.name, str(answer.http)))
        assert (grpc, http) in {(answer.grpc.name, str(answer.http)), ("", str(answer.http))}, reason


def test_dependencies_are_documented_with_their_reason() -> None:
    """docs/dependencies.md lists each dependency of pyproject.toml, and no other, with a reason."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    names = sorted(re.split(r"[<>=\[ ]", line)[0] for group in declared for line in group)
    rows = table_rows(ROOT / "docs/dependencies.md", "package")
    assert sorted(name for name, _, _ in rows) == names
    assert [name for name, reason, _ in rows if not reason] == []


def test_the_layout_is_the_repositorys() -> None:
    """The README's folders exist."""
    readme = (ROOT / "README.md").read_text()
    layout = readme.partition("## Layout")[2].split("```")[1]
    folders = re.findall(r"^(\S+)/ ", layout, re.MULTILINE)
    assert folders
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


@pytest.mark.skipif(not shutil.which("curl"), reason="the README sends with curl")
def test_the_readmes_first_look_works(start: Callable[..., Server], tmp_path: Path) -> None:
    """The README's record is stored, and its command to read it prints the output that it shows."""
    readme = (ROOT / "README.md").read_text()
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    send = next(text for _, text in fences if text.startswith("curl"))
    read = next(text for _, text in fences if "FORMAT Vertical" in text)
    shown = next(text for _, text in fences if text.startswith("Row 1:"))
    by_curl = next(text for _, text in fences if text.startswith(". data/credentials.env"))
    questions = next(text for _, text in fences if "query --list" in text).splitlines()[:-1]
    server = start()
    gateway = f"http://{server.listening['clickhouse_http']}"
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    port = f"export TELEMETRY_CLICKHOUSE_HTTP_PORT={gateway.rpartition(':')[2]}; "
    assert shell(send.replace("http://localhost:4318", server.http), tmp_path) == "{}"
    assert shell(port + read, tmp_path).strip() == shown.strip()
    assert shell(by_curl.replace("http://localhost:8123", gateway), tmp_path) == "1\n"
    for question in questions:
        assert ".venv/bin/telemetry " in question
        shell(port + question, tmp_path)


def shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=180, check=True
    )
    return done.stdout


def table_rows(document: Path, first: str) -> list[list[str]]:
    """Return the cells of every table whose first column has this heading, without the marks of code."""
    rows: list[list[str]] = []
    inside = False
    for line in document.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and cells[0] == first:
            inside = True
        elif inside and cells and set(line) - set("|- "):
            rows.append([cell.replace("`", "") for cell in cells])
        elif not cells:
            inside = False
    return rows


def without_code(document: Path) -> str:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+)[^`].*?\1", "", text)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_readme_names_every_table_that_the_schema_makes() -> None:
    """And no other, so that no count of them differs from what backups and the doctor say."""
    made = set()
    for path in (ROOT / "clickhouse" / "schema").glob("*.sql"):
        made |= set(re.findall(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", path.read_text(), re.MULTILINE))
    named: list[str] = []
    for names, _ in table_rows(ROOT / "README.md", "table"):
        first, *others = names.split(", ")
        # `_gauge` behind `otel_metrics_sum` is otel_metrics_gauge.
        family = first.rpartition("_")[0]
        named += [first, *(family + name if name.startswith("_") else name for name in others)]
    assert len(named) == len(set(named))
    assert set(named) == made

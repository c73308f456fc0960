"""The shape of the code: which way imports point, and that importing does nothing."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.server import ROOT

# The packages that each package may import in addition to itself, from the program down.
MAY_IMPORT = {
    "telemetry": {
        "onboarding", "operations", "web", "mcp_server", "connectors", "alerts", "access", "receiver", "gateway",
        "demo", "clickhouse", "otlp", "privacy", "config", "mcp_server_telemetry",
    },
    "onboarding": {"operations", "access", "clickhouse", "otlp", "config"},
    "operations": {"receiver", "clickhouse", "privacy", "config"},
    "web": {"mcp_server", "connectors", "alerts", "access", "config"},
    "mcp_server": {"connectors", "access", "config", "mcp_server_telemetry"},
    "connectors": {"access", "privacy", "config"},
    "alerts": {"access", "config"},
    "access": {"clickhouse", "config"},
    "receiver": {"clickhouse", "otlp", "privacy"},
    "gateway": {"clickhouse", "otlp"},
    "demo": {"otlp", "clickhouse"},
    "clickhouse": {"config"},
    "otlp": set(),
    "config": {"privacy"},
    "privacy": set(),
    "mcp_server_telemetry": set(),
}  # fmt: skip
# The program's own modules: the command line, the commands, the server's life and its parts, and the listeners.
TELEMETRY = {
    "__init__.py",
    "__main__.py",
    "cli.py",
    "log.py",
    "banner.py",
    "parts.py",
    "serve.py",
    "open_files.py",
    "tuning.py",
    "web_child.py",
    "commands",
    "listeners",
}
OURS = {*MAY_IMPORT, "tests", "benchmarks", "scripts"}
ELSEWHERE = {"mcp_server_telemetry": ROOT / "sdk/mcp_server_telemetry"}
"""The packages that are no folder at the top: a distribution of its own."""
MODULES = sorted(
    path for package in MAY_IMPORT for path in ELSEWHERE.get(package, ROOT / package).rglob("*.py")
)

_IMPORT_ALL = """
import importlib, os, sys, threading
for name in sys.argv[1:]:
    importlib.import_module(name)
print([thread.name for thread in threading.enumerate() if thread is not threading.main_thread()])
opened = []
for number in os.listdir("/proc/self/fd"):
    try:
        opened.append(os.readlink(f"/proc/self/fd/{number}"))
    except FileNotFoundError:  # the listing's own descriptor
        continue
print([target for target in opened if target.startswith("socket:")])
"""


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.module or ""


def _inside(path: Path) -> Path:
    """Return a module's path as its import has it."""
    below = path.relative_to(ROOT)
    return below.relative_to("sdk") if below.parts[0] == "sdk" else below


def _name(path: Path) -> str:
    return ".".join(_inside(path).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_one_way() -> None:
    """From the program down, each package imports only those in its row."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in _imported(path)
        if (package := name.partition(".")[0]) in OURS
        and package not in {(own := _inside(path).parts[0]), *MAY_IMPORT[own]}
    ]
    assert wrong == []


def test_each_row_stands_above_what_it_may_import() -> None:
    """The table has an order, so there is no circle of packages."""
    rows = list(MAY_IMPORT)
    up = [
        f"{package} -> {lower}"
        for number, (package, below) in enumerate(MAY_IMPORT.items())
        for lower in below
        if rows.index(lower) <= number
    ]
    assert up == []


def test_the_program_holds_only_commands_the_server_and_what_listens() -> None:
    """Everything else has a room of its own."""
    found = {path.relative_to(ROOT / "telemetry").parts[0] for path in (ROOT / "telemetry").rglob("*.py")}
    assert found == TELEMETRY


def test_commands_are_defined_by_the_program_alone() -> None:
    """Rooms can be used without the command line."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if "@click.command" in path.read_text("utf-8") and path.parent != ROOT / "telemetry" / "commands"
    ]
    assert wrong == []


def test_no_package_shadows_a_library() -> None:
    """Installing puts each package on the path by its name, which must be free in Python and in installed libraries."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    names = {name.partition(".")[0] for name in declared}
    assert names == {*MAY_IMPORT, "queries"}
    others = {
        name
        for name, distributions in metadata.packages_distributions().items()
        if set(distributions) - {"claude-code-telemetry"}
    }
    assert names & (others | sys.stdlib_module_names) == set()


def test_every_folder_of_code_is_installed() -> None:
    """An installation has all files of the checkout."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {".".join(_inside(path).parent.parts) for path in MODULES}
    assert folders == set(declared) - {"queries"}


def test_the_rule_looks_at_the_code() -> None:
    """A rule over no files would always hold."""
    assert ROOT / "receiver" / "pipeline.py" in MODULES
    assert "clickhouse.store" in set(_imported(ROOT / "receiver" / "delivery.py"))


def test_no_module_is_named_for_nothing() -> None:
    """A file holds one idea named by a noun."""
    vague = {"utils", "util", "common", "helper", "helpers", "misc", "manager"}
    assert [str(path) for path in MODULES if path.stem in vague] == []


def test_every_module_says_what_it_does() -> None:
    """Each opens with a docstring."""
    assert [str(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_importing_starts_no_thread_and_opens_no_socket() -> None:
    """Importing a module does nothing: the composition root builds."""
    names = [_name(path) for path in MODULES if path.stem != "__main__"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT_ALL, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n[]\n", "")


@pytest.mark.parametrize("module", ["receiver.pipeline", "clickhouse.engine", "telemetry.serve"])
def test_a_module_can_be_imported_first(module: str) -> None:
    """No module needs another to be imported before it."""
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, timeout=180, check=True)


def test_the_mcp_server_starts_without_what_its_tools_need() -> None:
    """Claude Code waits for its start: drivers, adapters and the state are imported by the first who asks."""
    late = (
        "clickhouse_connect", "urllib3", "chdb", "pyarrow", "numpy", "jinja2", "grpc", "sqlalchemy", "alembic",
        "promql_parser", "boto3",
    )  # fmt: skip
    code = f"import sys, telemetry.commands.mcp; print([name for name in {late!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""The shape of the code: which way imports point, and that importing does nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT

# telemetry -> receiver, access, demo -> clickhouse
MAY_IMPORT = {
    "telemetry": {"telemetry", "receiver", "access", "demo", "clickhouse"},
    "receiver": {"receiver", "clickhouse"},
    "access": {"access", "clickhouse"},
    "demo": {"demo", "clickhouse"},
    "clickhouse": {"clickhouse"},
}
OURS = {*MAY_IMPORT, "tests", "benchmarks", "scripts"}
MODULES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))

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


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_one_way() -> None:
    """From telemetry to receiver, access and demo, and on to clickhouse; those three never import each other."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in _imported(path)
        if (package := name.partition(".")[0]) in OURS
        and package not in MAY_IMPORT[path.relative_to(ROOT).parts[0]]
    ]
    assert wrong == []


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
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n[]\n", "")


@pytest.mark.parametrize("module", ["receiver.pipeline", "clickhouse.engine", "telemetry.serve"])
def test_a_module_can_be_imported_first(module: str) -> None:
    """No module needs another to be imported before it."""
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, timeout=60, check=True)

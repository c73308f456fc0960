"""The lock files: they hold all that is installed, with hashes, and agree with pyproject.toml and with each other."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.server import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = [*sorted(ROOT.glob("requirements*.lock")), *sorted(ROOT.glob("tests/sdk/*.lock"))]
# What chdb-core requires for data frames, and what these require in turn: this program has none.
LEFT_OUT = {"pandas", "pyarrow"}
PYTHONS = ("3.11", "3.12", "3.13")
_ENTRY = re.compile(r"([A-Za-z0-9._-]+)==(\S+?)(?: ; (.*?))?(?: \\)?")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

each_lock = pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)


def locked(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the versions of a lock's packages, each with its marker; a line that is nothing known fails."""
    found: dict[str, list[tuple[str, str]]] = {}
    hashes = 1
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        if _HASH.fullmatch(line):
            hashes += 1
            continue
        entry = _ENTRY.fullmatch(line)
        assert entry, f"{path.name}: {line}"
        assert hashes, f"{path.name}: the package before {entry[1]} has no hash"
        hashes = 0
        found.setdefault(canonicalize_name(entry[1]), []).append((entry[2], entry[3] or ""))
    assert hashes, f"{path.name}: the last package has no hash"
    return found


def requirements(extra: str = "") -> list[Requirement]:
    """Return what pyproject.toml requires, and what an extra adds to it."""
    project = PROJECT["project"]
    more = [Requirement(text) for text in project["optional-dependencies"].get(extra, [])]
    own = [one for one in more if one.name == project["name"]]
    inner = chain.from_iterable(requirements(name) for one in own for name in one.extras)
    return [*map(Requirement, project["dependencies"]), *(one for one in more if one not in own), *inner]


def installed(extra: str = "") -> dict[str, list[tuple[str, str]]]:
    """Return what a run installs, or a run with an extra."""
    more = locked(ROOT / f"requirements-{extra}.lock") if extra else {}
    return {**locked(ROOT / "requirements.lock"), **more}


@each_lock
def test_every_package_of_a_lock_has_its_version_and_hashes(path: Path) -> None:
    """No other line is in it: no address, no option, no package of another source."""
    assert locked(path)


@pytest.mark.parametrize("extra", ["", *sorted(PROJECT["project"]["optional-dependencies"])])
def test_a_lock_agrees_with_pyproject(extra: str) -> None:
    """Each package that is required is there, at a version that is allowed."""
    found = installed(extra)
    wrong = [
        str(one)
        for one in requirements(extra)
        if not any(
            one.specifier.contains(version) for version, _ in found.get(canonicalize_name(one.name), [])
        )
    ]
    assert wrong == [], "run scripts/lock.py"


def test_the_build_tools_are_locked() -> None:
    """They are of the lock alone, since packages are built without any download."""
    found = locked(ROOT / "requirements-build.lock")
    for one in map(Requirement, PROJECT["build-system"]["requires"]):
        assert [one.specifier.contains(version) for version, _ in found[canonicalize_name(one.name)]] == [
            True
        ]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extra", ["", "dev"])
def test_a_lock_is_complete(extra: str, python: str) -> None:
    """What a locked package requires is locked too, at a version that it allows: nothing else is installed."""
    environment = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux"}
    found = installed(extra)
    left_out = LEFT_OUT - {canonicalize_name(one.name) for one in requirements(extra)}
    missing = []
    for name, versions in found.items():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another platform, or not installed by who runs this
            continue
        if distribution.version not in [version for version, _ in versions]:
            continue
        for one in map(Requirement, distribution.requires or []):
            wanted = one.marker is None or one.marker.evaluate({**environment, "extra": ""})
            if not wanted or canonicalize_name(one.name) in left_out:
                continue
            there = [
                version
                for version, marker in found.get(canonicalize_name(one.name), [])
                if not marker or Marker(marker).evaluate(environment)
            ]
            if not any(one.specifier.contains(version, prereleases=True) for version in there):
                missing.append(f"{name} requires {one}")
    assert missing == []


def test_a_package_has_one_version_wherever_it_is_installed() -> None:
    """An environment with an extra is a run's with more in it."""
    versions: dict[str, set[Version]] = {}
    for path in ROOT.glob("requirements*.lock"):
        for name, entries in locked(path).items():
            versions.setdefault(name, set()).update(Version(version) for version, _ in entries)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_a_run_takes_no_data_frames() -> None:
    """Pandas and pyarrow are a third of the size of an installation with them."""
    assert not {*LEFT_OUT, "numpy", "chdb"} & installed().keys()


def test_the_engine_runs_without_what_the_lock_leaves_out() -> None:
    """It imports pyarrow where it finds it, and needs none of the three."""
    code = """
import sys
for name in ("pandas", "pyarrow", "numpy"):
    sys.modules[name] = None
from clickhouse.engine import Engine
engine = Engine(None, 1)
print(engine.rows("SELECT 6 * 7"), len(engine.query("SELECT 1 AS a FORMAT Parquet")) > 100)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stdout == "[[42]] True\n"


@pytest.mark.parametrize("file", ["scripts/install.py", "Dockerfile", ".ci/run"])
def test_everything_is_installed_by_hashes(file: str) -> None:
    """No pip installs or builds anything that is not in a lock, or is its own folder without the index."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    if file == "scripts/install.py":
        assert text.count('"--requirement"') == 2
        assert text.count("*hashed") == 2
        assert 'hashed = ["--require-hashes", "--only-binary", ":all:"]' in text
        assert '"--no-index", "--no-build-isolation", "--editable"' in text
        return
    steps = re.findall(r"-m pip (?:--python \S+ )?(?:install|wheel)\b[^&\n]*", text)
    assert steps
    assert [step for step in steps if "--require-hashes" not in step and "--no-index" not in step] == []


def test_an_sbom_lists_what_the_image_installs(tmp_path: Path) -> None:
    """As CycloneDX, with each version and its hashes; made twice it is the same."""
    tool = Path(sys.executable).parent / "cyclonedx-py"
    if not (tool.exists() or shutil.which("cyclonedx-py")):
        if os.environ.get("CI") == "true":
            pytest.fail("cyclonedx-py is not installed")
        pytest.skip("cyclonedx-py is not installed: scripts/test.sh installs it")
    made = []
    for name in ("one.json", "two.json"):
        done = subprocess.run(
            [ROOT / "scripts/sbom.sh", name],
            cwd=tmp_path, env={**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    found = json.loads(made[0])
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "claude-code-telemetry",
    )
    names = {canonicalize_name(one["name"]): one["version"] for one in found["components"]}
    assert names == {name: entries[0][0] for name, entries in installed("postgres").items()}
    assert all(
        any(reference.get("hashes") for reference in one["externalReferences"]) for one in found["components"]
    )

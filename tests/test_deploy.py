"""The container stack, as far as it can be tested without Docker: Compose's reading, and the Dockerfile's steps."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from config.settings import Settings
from tests.server import NO_TLS, ROOT, captures, eventually, free_port

COMPOSE = ROOT / "docker-compose.yml"
TOOLS = Path(sys.executable).parent
# The program itself, since the package's own command drops the exit code.
DOCKER_COMPOSE = files("compose") / "docker-compose"
SECRETS = {
    "CLICKHOUSE_PASSWORD": "writer-secret",
    "TELEMETRY_READER_PASSWORD": "reader-secret",
    "TELEMETRY_INGEST_TOKENS": "sender-secret",
}


def compose(given: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Let Docker Compose read the stack's file, in an environment of its own and with no .env."""
    return subprocess.run(
        [str(DOCKER_COMPOSE), "--file", COMPOSE, "--env-file", "/dev/null", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **given},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def services(*profiles: str, **given: str) -> dict[str, Any]:
    chosen = [argument for profile in profiles for argument in ("--profile", profile)]
    done = compose({**SECRETS, **given}, *chosen, "config", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    read: dict[str, Any] = json.loads(done.stdout)["services"]
    return read


@pytest.fixture(scope="module")
def every() -> dict[str, Any]:
    """Read every service, of every profile."""
    return services("grafana", "prometheus")


def test_profiles_add_grafana_and_prometheus(every: dict[str, Any]) -> None:
    """Without them there are ClickHouse and the receiver."""
    assert set(services()) == {"clickhouse", "receiver"}
    assert set(every) == {"clickhouse", "receiver", "grafana", "prometheus"}


def test_every_service_is_hardened(every: dict[str, Any]) -> None:
    """A read-only root, no capabilities, no new privileges, no root, and bounds on memory, cores and processes."""
    for name, service in every.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & service.keys(), name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["pids_limit"], name
        assert service["logging"]["options"]["max-size"], name
        mounts = service["volumes"]
        assert all(mount["type"] == "volume" or mount["read_only"] for mount in mounts), name
        user = service.get("user") or final_stage("USER")[0]
        assert re.fullmatch(r"[1-9]\d*:\d+", user), name


def test_memory_and_cores_are_what_the_documents_say(every: dict[str, Any]) -> None:
    """By default, and as set."""
    sizes = {name: (int(one["mem_limit"]) >> 20, one["cpus"]) for name, one in every.items()}
    assert sizes["clickhouse"] == (2048, 1)
    assert sizes["receiver"] == (512, 0.5)
    larger = services(CLICKHOUSE_MEMORY="8g", CLICKHOUSE_CPUS="4", TELEMETRY_MEMORY="2g", TELEMETRY_CPUS="2")
    assert (int(larger["clickhouse"]["mem_limit"]) >> 30, larger["clickhouse"]["cpus"]) == (8, 4)
    assert (int(larger["receiver"]["mem_limit"]) >> 30, larger["receiver"]["cpus"]) == (2, 2)


def test_every_port_is_published_on_loopback_unless_told_otherwise(every: dict[str, Any]) -> None:
    """No other machine reaches anything by default."""
    published = {
        int(port["published"]): (port["host_ip"], name)
        for name, one in every.items()
        for port in one["ports"]
    }
    assert {port: name for port, (_, name) in published.items()} == {
        8123: "clickhouse",
        **dict.fromkeys((4317, 4318, 8888, 13133), "receiver"),
        3000: "grafana",
        9090: "prometheus",
    }
    assert {address for address, _ in published.values()} == {"127.0.0.1"}
    other = services(TELEMETRY_BIND="10.0.0.1", TELEMETRY_OTLP_GRPC_PORT="14317")["receiver"]
    assert {port["host_ip"] for port in other["ports"]} == {"10.0.0.1"}
    assert ("14317", 4317) in {(port["published"], port["target"]) for port in other["ports"]}
    assert other["environment"]["TELEMETRY_OTLP_GRPC_PORT"] == "4317", "inside, it stays"


def test_images_are_pinned_to_a_release(every: dict[str, Any]) -> None:
    """No tag that moves on to another version by itself."""
    images = {name: one["image"] for name, one in every.items()}
    bases = dict(re.findall(r"^ARG (\w+)=(\S+)", dockerfile(), re.MULTILINE))
    images |= bases
    for name, image in images.items():
        assert re.search(r":v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", image), name
    assert set(re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE)) == {f"${{{name}}}" for name in bases}


def test_services_wait_for_the_health_of_others(every: dict[str, Any]) -> None:
    """And every one of them has a health check."""
    for name, service in every.items():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy", (name, other)
        assert service.get("healthcheck") or final_stage("HEALTHCHECK"), name
    assert set(every["receiver"]["depends_on"]) == {"clickhouse"}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_stops_the_start_with_the_remedy(name: str, value: str | None) -> None:
    """Unset or empty: Compose names it, and the script that writes it."""
    given = (
        {**SECRETS, name: value}
        if value is not None
        else {key: SECRETS[key] for key in SECRETS if key != name}
    )
    done = compose({key: text for key, text in given.items() if text is not None}, "config", "--quiet")
    assert done.returncode != 0
    assert f"required variable {name} is missing a value: is not set. Run scripts/make-env.sh" in done.stderr
    assert "secret" not in done.stderr.replace("-secret", "SECRET")


def test_secrets_reach_who_needs_them_and_nobody_else(every: dict[str, Any]) -> None:
    """ClickHouse and the receiver know the passwords; Grafana the reader's only; Prometheus nothing."""
    known = {
        name: {secret for secret in SECRETS if SECRETS[secret] in json.dumps(service)}
        for name, service in every.items()
    }
    assert known == {
        "clickhouse": {"CLICKHOUSE_PASSWORD", "TELEMETRY_READER_PASSWORD"},
        "receiver": set(SECRETS),
        "grafana": {"TELEMETRY_READER_PASSWORD"},
        "prometheus": set(),
    }


def test_variables_are_declared_once_with_the_default_that_is_used() -> None:
    """Each is a setting of the receiver or one of `x-settings`."""
    text = COMPOSE.read_text()
    declared = {name: str(about["default"]) for name, about in yaml.safe_load(text)["x-settings"].items()}
    used = set(re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?", text))
    settings = {str(field.alias) for field in Settings.model_fields.values()}
    assert {name for name, _ in used} - settings == set(declared)
    assert {(name, default) for name, default in used if name in declared} == set(declared.items())


def test_the_receiver_starts_with_what_compose_gives_it(every: dict[str, Any], tmp_path: Path) -> None:
    """Its environment is one that its settings take, with every default where nothing is said."""
    script = (
        "from config.settings import load; print(load().model_dump_json(exclude={'data_dir', 'backup_dir'}))"
    )
    environment = {name: value or "" for name, value in every["receiver"]["environment"].items()}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    given = json.loads(done.stdout)
    assert (given["host"], given["clickhouse_url"]) == ("0.0.0.0", "http://clickhouse:8123")
    assert (given["retention_days"], given["queue_bytes"], given["batch_bytes"]) == (90, 64 << 20, 4 << 20)
    assert given["max_request_bytes"] <= given["queue_bytes"]


def test_make_env_writes_secrets_that_compose_and_the_receiver_take(tmp_path: Path) -> None:
    """Each its own, for its owner alone, and never in place of an .env that is there."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "make-env.sh", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.template", tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [tmp_path / "scripts" / "make-env.sh", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, cwd="/")

    assert run("a b").returncode == run("--what").returncode == 2
    done = run("alice")
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / ".env"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    assert set(values) == {*SECRETS, "TELEMETRY_HASH_KEY", "GRAFANA_ADMIN_PASSWORD"}
    assert len(set(values.values())) == len(values)
    sender, _, token = values["TELEMETRY_INGEST_TOKENS"].partition(":")
    assert (sender, f"Bearer {token}" in done.stdout) == ("alice", True)
    assert all(re.fullmatch(r"[0-9a-f]{48}", value.removeprefix("alice:")) for value in values.values())
    assert Settings(_env_file=path).clickhouse_password.get_secret_value() == values["CLICKHOUSE_PASSWORD"]  # type: ignore[call-arg]
    read = compose({}, "--env-file", str(path), "config", "--quiet")
    assert (read.returncode, read.stderr) == (0, "")
    before = path.read_text()
    assert (run().returncode, path.read_text()) == (1, before)


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


@dataclass
class Step:
    """One instruction of the Dockerfile."""

    word: str
    text: str
    rest: str
    flags: dict[str, str] = field(default_factory=dict)


def steps() -> Iterator[Step]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile(), flags=re.MULTILINE))
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        flags = dict(re.findall(r"--(\S+?)=(\S+) ", rest)) if word in {"COPY", "HEALTHCHECK"} else {}
        yield Step(word, line, re.sub(r"^(?:--\S+=\S+\s+)*", "", rest).strip(), flags)


def final_stage(word: str) -> list[str]:
    """Return the text after a word in the last stage."""
    last: list[Step] = []
    for step in steps():
        last = [] if step.word == "FROM" else [*last, step]
    return [step.rest for step in last if step.word == word]


def test_the_dockerfile_is_well_made() -> None:
    """As hadolint reads it; and nothing runs as root, or is installed, in the stage that is shipped."""
    done = subprocess.run(
        [TOOLS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert final_stage("RUN") == []
    assert final_stage("USER") == ["10001:10001"]
    assert final_stage("STOPSIGNAL") == ["SIGTERM"]


class Image:
    """The Dockerfile's result, built below a folder in place of a root: its paths below it are those of the image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.directory = "/"
        tools = root / "tools"
        tools.mkdir(parents=True)
        (tools / "python").symlink_to(sys.executable)
        cargo = Path(shutil.which("cargo") or "/usr/bin/cargo").parent
        self._path = f"{tools}:{cargo}:/usr/bin:/bin"

    def build(self, without: Sequence[str] = ()) -> None:
        """Run the steps, but those in whose text one of these words is."""
        for step in steps():
            if any(word in step.text for word in without):
                continue
            match step.word:
                case "FROM":
                    self.environment = {}
                case "WORKDIR":
                    self.directory = step.rest
                    (self.root / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
                case "ENV":
                    pairs = (pair.partition("=") for pair in shlex.split(step.rest))
                    self.environment |= {name: value for name, _, value in pairs}
                case "COPY":
                    self._copy(*shlex.split(step.rest), image=bool(step.flags.get("from")))
                case "RUN":
                    self.run(["/bin/sh", "-euc", self._within(step.rest)], timeout=800)
                case _:
                    pass

    def run(self, command: list[str], timeout: float = 60, **given: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.place(self.directory),
            env=self.given(**given),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def given(self, **given: str) -> dict[str, str]:
        """Return the environment of a process of the image."""
        path = self._within(self.environment.get("PATH", "$PATH")).replace("$PATH", self._path)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_", "REQUESTS_", "CARGO_", "RUSTUP_"))
        }
        ours = {
            name: self._within(value)
            for name, value in self.environment.items()
            if name != "PIP_NO_CACHE_DIR"
        }
        return {**kept, **ours, "PATH": path, "HOME": os.environ.get("HOME", "/root"), **given}

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _within(self, text: str) -> str:
        return re.sub(
            r"(?<![\w./])/(?=(?:opt/telemetry|opt/build|native|src|empty|data|backups|tmp)\b)",
            f"{self.root}/",
            text,
        )

    def _copy(self, *names: str, image: bool) -> None:
        *sources, target = names
        for source in sources:
            found = self.place(source) if image else ROOT / source
            to = self.place(target) if target.startswith("/") else self.place(self.directory) / target
            if found == to:
                continue
            if not found.is_dir():
                shutil.copy(found, to)
                continue
            taken = [ROOT / name for name in wanted()] if source == "." else [found]
            for one in taken:
                if one.is_file():
                    shutil.copy(one, to)
                else:
                    at = to if one == found else to / one.name
                    shutil.copytree(
                        one,
                        at,
                        dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "target"),
                    )


def wanted() -> list[str]:
    """Return the files that .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return [line[1:] for line in lines if line.startswith("!")]


def has_crates() -> bool:
    """Whether Rust is here, with the crates of the native pass."""
    if not shutil.which("cargo"):
        return False
    fetch = ["cargo", "fetch", "--quiet", "--locked", "--manifest-path", ROOT / "native" / "Cargo.toml"]
    return subprocess.run(fetch, capture_output=True, timeout=180, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_dockerfile_makes_a_receiver_that_runs_outside_the_checkout(tmp_path: Path) -> None:
    """Its steps build a wheel and install it beside the locked dependencies alone; the result takes telemetry.

    Where there is no Rust, or its crates cannot be had, it is the image without the native pass.
    """
    image = Image(tmp_path / "image")
    has_native = has_crates()
    image.build(without=() if has_native else ("native", "cargo"))
    assert not (image.place("/opt/telemetry/bin") / "pip").exists()
    installed = {path.name for path in image.place("/opt/telemetry/lib").glob("python3*/site-packages/*")}
    assert not {"pytest", "mypy", "ruff", "pip", "setuptools", "numpy", "pandas", "pyarrow"} & installed
    assert ("telemetry_native.abi3.so" in installed) == has_native
    assert (image.place("/opt/telemetry/bin") / "telemetry").exists()
    names = ("OTLP_GRPC", "OTLP_HTTP", "METRICS", "HEALTH", "CLICKHOUSE_HTTP", "WEB")
    ports = {f"TELEMETRY_{name}_PORT": str(free_port()) for name in names}
    # With the setting, a native pass that cannot be used stops the start.
    given = {
        **ports,
        "TELEMETRY_TRANSFORM": "native" if has_native else "auto",
        "TELEMETRY_INGEST_TOKENS": "one-token",
        "TELEMETRY_LOG_FORMAT": "json",
    }
    command = [*json.loads(final_stage("ENTRYPOINT")[0]), *json.loads(final_stage("CMD")[0])]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [image.place("/opt/telemetry/bin") / command[0], *command[1:]],
            cwd=image.place(image.directory),
            env=image.given(**given),
            stdout=output,
            stderr=output,
        )
    try:
        (check,) = final_stage("HEALTHCHECK")
        probe_command = json.loads(check.partition("CMD ")[2])

        def is_healthy() -> bool:
            assert process.poll() is None, log.read_text()
            done = subprocess.run(
                probe_command, env=image.given(**given), capture_output=True, timeout=180, check=False
            )
            return done.returncode == 0

        eventually(is_healthy, 180)
        answer = httpx.post(
            f"http://127.0.0.1:{ports['TELEMETRY_OTLP_HTTP_PORT']}/v1/logs",
            content=captures("logs")[0],
            headers={"content-type": "application/x-protobuf", "authorization": "Bearer one-token"},
            timeout=180,
            verify=NO_TLS,
        )
        assert answer.status_code == 200, answer.text
        image.run([str(image.place("/opt/telemetry/bin/telemetry")), "query", "errors"], **given)
        process.send_signal(getattr(signal, final_stage("STOPSIGNAL")[0]))
        assert process.wait(180) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(180)

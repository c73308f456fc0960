# The receiver. Built in three stages: the last has Python and the installed program, no pip, no compiler, no sources.
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
ARG RUST=rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082

FROM ${RUST} AS native
WORKDIR /native
COPY native .
# The crates of Cargo.lock, each with its hash.
RUN cargo build --release --locked --target-dir target

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/telemetry
# Files that seldom change come first, so that a change of the code does not install everything again.
COPY requirements.lock requirements-build.lock requirements-postgres.lock ./
# All that is installed is in the locks, with hashes. They leave out pandas and pyarrow, which chdb-core requires for data
# frames: this program has none, and the two are a third of the size.
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --no-deps --only-binary :all: --require-hashes --requirement requirements-build.lock \
    && python -m pip --python /opt/telemetry/bin/python install --no-compile --no-deps --only-binary :all: --require-hashes --requirement requirements.lock --requirement requirements-postgres.lock
COPY --from=native /native/target/release/libtelemetry_native.so telemetry_native.abi3.so
RUN cp telemetry_native.abi3.so "$(/opt/telemetry/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" \
    && /opt/telemetry/bin/python -c 'import telemetry_native'
COPY . .
# Compiled here, since the container cannot write to its own files.
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && python -m pip --python /opt/telemetry/bin/python install --no-compile --no-index --no-deps wheels/*.whl \
    && /opt/telemetry/bin/python -m compileall -q /opt/telemetry/lib \
    && /opt/telemetry/bin/telemetry --version
RUN mkdir -p /empty/data /empty/backups && chmod 700 /empty/data /empty/backups

FROM ${PYTHON}
LABEL org.opencontainers.image.title="claude-code-telemetry" \
    org.opencontainers.image.description="Self-hosted telemetry server for Claude Code" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/telemetry /opt/telemetry
# A volume takes owner and mode from the folder that it first covers.
COPY --from=build --chown=10001:10001 /empty/ /
ENV PATH=/opt/telemetry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TELEMETRY_HOST=0.0.0.0 \
    TELEMETRY_DATA_DIR=/data \
    TELEMETRY_BACKUP_DIR=/backups
WORKDIR /tmp
USER 10001:10001
VOLUME ["/data", "/backups"]
EXPOSE 4317 4318 8123 8888 13133
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --retries=4 --start-period=90s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('TELEMETRY_HEALTH_PORT') or 13133}/ready\", timeout=4)"]
ENTRYPOINT ["telemetry"]
CMD ["serve"]

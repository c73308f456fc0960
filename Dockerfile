# The receiver. Built in two stages: the second has Python and the installed program, no pip, no compiler, no sources.
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/telemetry
# What changes seldom first, so that a change of the code does not install everything again.
COPY requirements.lock pyproject.toml ./
# chdb asks for pandas and pyarrow, for data frames; there are none here, and they are a third of the size.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" >dependencies.txt \
    && python -m pip --python /opt/telemetry/bin/python install --no-compile --only-binary :all: --constraint requirements.lock --requirement dependencies.txt \
    && python -m pip --python /opt/telemetry/bin/python uninstall --yes numpy pandas pyarrow
COPY . .
# Compiled here, since nothing can be written where it runs.
RUN python -m pip wheel --no-deps --wheel-dir wheels . \
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

"""`python -m telemetry` is the command `telemetry`."""

from telemetry.cli import main

main()

"""Findings brought to people: through a webhook, once for each incident, and as metrics for Prometheus.

`watch` looks on a schedule, `telemetry findings --notify` when it is told to; both remember in one file what was sent.
"""

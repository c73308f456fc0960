"""What makes the Collector private, as its configuration: `python -m benchmarks.collector_private` prints it.

The attributes processor replaces values by their SHA256 and the redaction processor masks what matches a pattern, by
the keys and patterns of `benchmarks.peer_rules`. It is merged over collector.yaml by a second `--config`.
"""

from typing import Any

import yaml

from benchmarks.peer_rules import HASHED, PATTERNS, SAFE

# What it marks is counted in attributes of its own unless it is told not to.
_SUMMARY = "silent"


def configuration() -> str:
    """Return the YAML."""
    private = {"processors": ["attributes", "redaction", "batch"]}
    parts: dict[str, Any] = {
        "processors": {
            "attributes": {"actions": [{"key": key, "action": "hash"} for key in sorted(HASHED)]},
            "redaction": {
                "allow_all_keys": True,
                "ignored_keys": sorted(SAFE | HASHED),
                "blocked_values": list(PATTERNS.values()),
                "summary": _SUMMARY,
            },
        },
        "service": {"pipelines": {"traces": private, "logs": private}},
    }
    return yaml.safe_dump(parts, sort_keys=False)


if __name__ == "__main__":
    print(configuration(), end="")

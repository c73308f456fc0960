#!/usr/bin/env python3
"""Record what a real Prometheus answers to the corpus of tests/promql, in tests/data/promql.

Usage: python -m scripts.record_promql /usr/bin/prometheus
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.promql.answers import RECORDED, SHAPES, asked, shaped
from tests.promql.prometheus import prometheus


def main() -> None:
    """Run Prometheus, ask it everything, and write the answers."""
    with tempfile.TemporaryDirectory() as folder, prometheus(Path(sys.argv[1]), Path(folder)) as url:
        found, others = asked(url), shaped(url)
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    SHAPES.write_text("[\n" + ",\n".join(json.dumps(one) for one in others) + "\n]\n")
    sys.stdout.write(f"{len(found)} expressions: {RECORDED}\n")


if __name__ == "__main__":
    main()

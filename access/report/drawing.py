"""Charts drawn as SVG, in a process of their own: the renderer can die or hang, and the report must not.

This file is also that process. It reads descriptions from its input, a line each, and writes each SVG as a line of JSON
as soon as it is drawn. When it ends early or takes too long, the chart that it was at is left out, and another process
draws what follows. Nothing is drawn, and no process started, for a report without charts.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import vl_convert

_VERSION: Final = "6.4"
_SECONDS: Final = 30.0
"""For all charts of a report, which take one or two."""


def draw(specs: Sequence[str], seconds: float = _SECONDS) -> list[str | None]:
    """Return the SVG of each Vega-Lite description, a line of JSON; None for one that cannot be drawn."""
    drawn: list[str | None] = []
    while len(drawn) < len(specs):
        drawn += _drawn(specs[len(drawn) :], seconds)
        if len(drawn) < len(specs):
            drawn.append(None)
    return drawn


def _drawn(specs: Sequence[str], seconds: float) -> list[str]:
    """Draw in order, up to the first that fails."""
    try:
        done = subprocess.run(  # noqa: S603  this file
            # As a file, since the modules beside it (numbers) must not stand in for others: -P.
            [sys.executable, "-P", __file__],
            input="".join(f"{spec}\n" for spec in specs).encode(),
            stdout=subprocess.PIPE,
            # The renderer's last words can quote a text of the chart.
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
        output = done.stdout
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
    *lines, _ = output.split(b"\n")
    return [json.loads(line) for line in lines]


def _main() -> None:
    for spec in sys.stdin.buffer:
        svg = vl_convert.vegalite_to_svg(spec.decode(), vl_version=_VERSION, allowed_base_urls=[])
        print(json.dumps(svg), flush=True)  # noqa: T201  to the process that asked


if __name__ == "__main__":
    _main()

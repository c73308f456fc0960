"""What becomes of the query for plain words before it is sent."""

import pytest

from connectors.tools import plain_words
from connectors.words.queries import WINDOW


@pytest.mark.parametrize(("step", "window"), [(15, WINDOW), (300, WINDOW), (300.5, "301s"), (3600, "3600s")])
def test_rates_reach_over_a_whole_step(step: float, window: str) -> None:
    """Samples between two points count, however far apart these are."""
    query = f'sum by (model) (rate(cost_total{{a="b"}}[{WINDOW}])) / sum(rate(calls_total[{WINDOW}]))'
    assert plain_words._widened(query, step) == query.replace(WINDOW, window)

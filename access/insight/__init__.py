"""What changed for the worse, for whom, since when, and what it cost: one module for all who say so.

Read in this order: `find.py` (the whole way), `series.py` (what is measured, by day), `change.py` (whether and when a
series changed), `causes.py` (one incident out of many changes), `costs.py` (dollars and minutes), `firsts.py` (what is
expected never to happen), `silence.py` (who stopped sending, and clocks that are wrong), `words.py` (sentences).
"""

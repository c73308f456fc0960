"""`telemetry report`: what happened in a period, what it cost, what failed, and what to fix first.

Read in this order: `period.py` (when), `figures.py` (asks the questions), `findings.py` (what to fix), `contents.py`
(figures into a document), `document.py` (what a document is), `markdown.py` and `page.py` (how it is shown).
"""

"""`telemetry report`: what happened in a period, what it cost, what failed, and what to fix first.

Read in this order: `period.py` (the period), `figures.py` (asks the questions), `findings.py` (what to fix),
`contents.py` (turns figures into a document), `document.py` (the parts of a document), `markdown.py` and `page.py`
(write a document), `charts.py` (draws a page's charts).
"""

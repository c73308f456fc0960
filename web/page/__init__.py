"""The page for people: what is going on, how a session went, where errors and money go, from the library's questions.

Read in this order: `routes.py` (which view has which address), `filters.py` (the period and whose, in the address),
`views.py` (what each view asks), `replay.py` and `waterfall.py` (a session and a trace), `cells.py` (how a value is
written and where it leads), `charts.py` (pictures, as SVG that is also text), `templates/`.
"""

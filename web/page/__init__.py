"""The page for people: what is going on, how a session went, where errors and money go, from the library's questions.

Read in this order: `routes.py` (which view has which address), `filters.py` (the period and whose, in the address),
`views.py` (what each view asks), `streaming.py` (a view's head first, then its parts), `details.py` with `replay.py`,
`timeline.py` and `waterfall.py` (a session and a trace), `managing.py` (connections, forgetting), `cells.py` (how a
value is written and where it leads), `charts.py` (pictures, as SVG that is also text), `templates/`. `site.py` has what
all of them share, `entrance.py` the log-in.
"""

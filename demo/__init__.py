"""Demo data: invented sessions of Claude Code, as OTLP requests like the real client's, and their true totals.

Begin with `generate.py`. Nothing here imports the receiver or the read side: the records are sent over OTLP like any
client's, and are removed by their mark (`remove.py`).
"""

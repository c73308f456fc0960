"""Demo data: invented sessions of Claude Code, as OTLP requests like the real client's, and their true totals.

Begin with `generate.py`. Nothing here imports the receiver or the read side: what is generated goes through OTLP
like any client's records, and is taken away by its mark (`remove.py`).
"""

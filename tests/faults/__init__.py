"""Counts acknowledged records when things break: real processes, real faults, every record counted by its id.

A receiver in server mode writes through a proxy to a second process that serves as its ClickHouse. While clients send,
the proxy misbehaves, processes are killed, disks fill; afterwards what was sent and acknowledged is compared with what
is stored. `python -m tests.faults --help` says how to run all of it; tests/test_faults.py runs a little of each.
"""

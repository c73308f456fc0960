"""The tests: against the real engine, real clients, real processes and the real client's requests."""

"""The tests: against the real engine, real clients, real processes and what the real client sent."""

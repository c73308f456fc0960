"""Not installed where the server runs: only tests need it."""

raise ImportError

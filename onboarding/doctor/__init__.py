"""Checks of every link from Claude Code's settings to the newest row, and of a running server."""

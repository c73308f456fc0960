"""Checks of the whole way, from the settings of Claude Code to the newest row."""

"""The other end of the line: how Claude Code is told where to send, and what it does with what it is told."""

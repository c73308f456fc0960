"""The web process: MCP over HTTP, health and metrics, each behind the same checks."""

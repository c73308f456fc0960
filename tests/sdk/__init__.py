"""The SDK for MCP servers, on the servers that it instruments."""

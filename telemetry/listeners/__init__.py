"""The listeners: HTTP servers in the event loop, health and metrics, and TLS."""

"""Settings, credentials, and the addresses and data directory of the server."""

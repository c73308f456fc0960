"""Claude Code's side: its settings, the destinations that they name, and checks of the way to the server."""

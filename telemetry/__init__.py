"""The command line and the composition root: settings, and the server's whole life."""

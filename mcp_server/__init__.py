"""Tools, resources and prompts for Claude, and for any other client of the Model Context Protocol, over `access`."""

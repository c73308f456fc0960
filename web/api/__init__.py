"""The REST interface: connections to other systems and the history of questions, at /api/v1."""

"""Why the state cannot be used. It needs no database library, so that all may import it."""


class StateError(Exception):
    """The state cannot be opened, read, written or decrypted; the text has the remedy and no value."""

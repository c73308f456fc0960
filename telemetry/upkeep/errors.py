"""The one failure of upkeep: what could not be done, and what to do about it."""


class UpkeepError(Exception):
    """Something could not be done. The text says what, and the remedy; it never holds data or a secret."""

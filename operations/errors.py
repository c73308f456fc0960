"""The one failure of an operation: its cause and its remedy."""


class OperationError(Exception):
    """An operation failed. The text has the cause and the remedy, and never data or a secret."""

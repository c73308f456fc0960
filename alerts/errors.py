"""What can go wrong with an alert, for a person to correct."""


class AlertError(Exception):
    """An alert was not sent, or what was sent cannot be remembered. The text has the remedy, and no address."""

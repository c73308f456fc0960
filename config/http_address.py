"""Whether a text is the address of an HTTP server: a scheme, a host and perhaps a port, without user and path."""

import re
from typing import Final
from urllib.parse import urlsplit

_FORM: Final = re.compile(r"https?://[^/@?#\s]+/?")


def is_http_address(text: str) -> bool:
    """Return whether a client can connect to it, and would drop no part of it silently."""
    if not _FORM.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or no IPv6 address
        return False

"""By which names a server on this machine may be asked over HTTP, and from which pages.

A web page in the developer's browser can send requests to ports on loopback: under the server's address, or under a
name of its own that leads here (DNS rebinding). So a server on loopback takes no other name, and no server takes a
request that a browser says is from another origin.

Source: https://www.w3.org/TR/fetch-metadata/
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from config.settings import is_loopback


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The address that a server listens on, and further names by which it may be asked."""

    host: str
    names: Sequence[str] = ()

    def is_known(self, netloc: str) -> bool:
        """Whether a Host's value names this server. An address cannot be rebound; on loopback it must be one."""
        try:
            host = urlsplit(f"//{netloc}").hostname or ""
        except ValueError:
            return False
        if host in {"localhost", *(name.lower() for name in self.names)}:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host == self.host.lower()
        return address.is_loopback or not is_loopback(self.host)

    def is_foreign(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser says that a page of another origin asks. `headers` have names in lower case."""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
            return True
        return headers.get("sec-fetch-site", "none").lower() not in {"none", "same-origin"}

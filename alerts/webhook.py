"""Sends a message to the webhook of a chat: JSON `{"text": …}`, over HTTPS with certificates checked.

A message is tried three times at most, each time bounded; a chat that asks for a pause gets one, up to half a minute.
The address is a secret: no error and no log has it. Redirects are not followed, and the answer's body is not read.
"""

import random
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2

from alerts.errors import AlertError

_TRIES: Final = 3
_SECONDS: Final = 10.0
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_TOO_MANY: Final = 429
_SERVERS: Final = 500


class Webhook:
    """One address. `wait` pauses for some seconds, and returns whether to give up."""

    def __init__(
        self, url: str, ca_file: Path | None = None, wait: Callable[[float], bool] | None = None
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._wait = wait or threading.Event().wait

    def post(self, text: str) -> None:
        """Send a message. Raises AlertError."""
        tls = _context(self._ca_file)
        pause = _PAUSE
        for left in reversed(range(_TRIES)):
            failure, asked, is_final = self._try(text, tls)
            if not failure:
                return
            if is_final or not left or self._wait(min(asked or _spread(pause), _LONGEST_PAUSE)):
                break
            pause *= 4
        raise AlertError(f"The message was not sent: {failure}.")

    def _try(self, text: str, tls: ssl.SSLContext) -> tuple[str, float, bool]:
        """Return why a try failed ("": it did not), the pause that was asked for, and whether to try no more."""
        try:
            with (
                httpx2.Client(verify=tls, timeout=_SECONDS, follow_redirects=False) as client,
                client.stream("POST", self._url, json={"text": text}) as response,
            ):
                status, after = response.status_code, response.headers.get("retry-after", "")
        except httpx2.InvalidURL:
            return "TELEMETRY_ALERT_WEBHOOK is no address", 0, True
        except ssl.SSLError as error:
            return _untrusted(error), 0, True
        except httpx2.TransportError as error:
            if isinstance(cause := _cause(error), ssl.SSLCertVerificationError):
                return _untrusted(cause), 0, True
            return (
                f"the webhook cannot be reached ({type(error).__name__}): look at the network and proxy",
                0,
                False,
            )
        return _outcome(status, after)


def _outcome(status: int, after: str) -> tuple[str, float, bool]:
    """Return what an answer means, as `Webhook._try` does; `after` is its Retry-After."""
    if 200 <= status < 300:  # noqa: PLR2004
        return "", 0, True
    if status == _TOO_MANY or status >= _SERVERS:
        asked = float(after) if after.isdecimal() and len(after) < 6 else 0.0  # noqa: PLR2004
        return f"the webhook answers {status}: it is too busy, or broken", asked, False
    return (
        f"the webhook answers {status}: take a new address from the chat for TELEMETRY_ALERT_WEBHOOK",
        0,
        True,
    )


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise AlertError(
            f"TELEMETRY_ALERT_CA_FILE cannot be read as certificates (PEM): {type(error).__name__}."
        ) from None


def _untrusted(error: ssl.SSLError) -> str:
    why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
    return f"its certificate is not trusted ({why}): set TELEMETRY_ALERT_CA_FILE to its authority's"


def _cause(error: BaseException) -> BaseException | None:
    """Return what is at the bottom of an error."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else _cause(inner)


def _spread(pause: float) -> float:
    return pause * random.uniform(0.8, 1.2)  # noqa: S311  no secret

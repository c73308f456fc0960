"""The errors of a ClickHouse over HTTP: it is not reached, it does not know the user, it refuses a statement.

The texts name the remedy. They contain ClickHouse's number and name of an error, and never its message, which can quote
data and statements. The author of a question may see the message: `StatementRefused.message`.
"""

from collections.abc import Mapping
from typing import Final

from clickhouse.error_codes import CREDENTIALS, PERMANENT

_MOST_OF_A_MESSAGE: Final = 4000
_UNKNOWN_USER: Final = CREDENTIALS.keys() - {497}
_REMEDIES: Final[Mapping[str, str]] = {
    "ACCESS_DENIED": "this user may not do that; name another one, or give it the right",
    "READONLY": "this user only reads",
    "TIMEOUT_EXCEEDED": "ask for less, such as a shorter period",
    "MEMORY_LIMIT_EXCEEDED": "ask for less, such as a shorter period",
}
_NETWORK: Final[Mapping[str, str]] = {
    "NameResolutionError": "UNKNOWN_HOST",
    "ConnectTimeoutError": "CONNECT_TIMEOUT",
    "NewConnectionError": "CONNECTION_REFUSED",
    "SSLError": "TLS",
    "ReadTimeoutError": "READ_TIMEOUT",
    "ProtocolError": "CUT_OFF",
    "IncompleteRead": "CUT_OFF",
}
_CUT: Final = frozenset({"READ_TIMEOUT", "CUT_OFF"})


class ClientError(Exception):
    """A request to ClickHouse failed. The text has the remedy, and no data.

    `reason` is a word for it in capitals; `code` is ClickHouse's number of the error, 0 when the error is not its own.
    """

    def __init__(self, text: str, reason: str, code: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = code


class Unreachable(ClientError):  # noqa: N818  what happened, as in Python's own StopIteration
    """No ClickHouse answered, or its answer was cut. The statement may have run all the same."""


class CredentialsRefused(ClientError):  # noqa: N818  what happened, as in Python's own StopIteration
    """ClickHouse does not know the user with this password."""


class StatementRefused(ClientError):  # noqa: N818  what happened, as in Python's own StopIteration
    """ClickHouse refused a statement, or failed while it answered."""

    def __init__(self, text: str, reason: str, code: int, message: str) -> None:
        super().__init__(text, reason, code)
        self.message = message
        """ClickHouse's own words, cut to 4,000 characters. They can quote data: show only the author."""


class OtherFormat(ClientError):  # noqa: N818  what happened, as in Python's own StopIteration
    """A statement asks for a format of its own, and the caller reads another one. `format` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The statement asks for the format {name}: leave FORMAT out of it.", "OTHER_FORMAT")
        self.format = name


def network_reason(error: BaseException) -> str:
    """Return this module's word for an error of the network or of the driver."""
    seen: BaseException | None = error
    while seen is not None:
        if known := _NETWORK.get(type(seen).__name__):
            return known
        inner = getattr(seen, "reason", None)  # urllib3's own chain
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return "BAD_ANSWER"


def unreachable(url: str, reason: str) -> Unreachable:
    """Return the error for a connection that failed, was cut, or reached another program."""
    if reason in _CUT:
        text = f"ClickHouse at {url} did not answer to the end ({reason}): wait until it is ready, and try again."
    elif reason in {"BAD_ANSWER", "NOT_CLICKHOUSE"}:
        text = f"What answers at {url} is not ClickHouse ({reason}): name its HTTP interface with --url."
    elif reason == "TLS":
        text = (
            f"{url} cannot be trusted ({reason}): set CLICKHOUSE_CA_FILE to the authority of its certificate, or look"
            " whether it speaks TLS."
        )
    else:
        text = f"Nothing answers at {url} ({reason}): start the server, or name another one with --url."
    return Unreachable(text, reason)


def refused(
    url: str, user: str, password_setting: str, code: int, name: str | None, message: str
) -> ClientError:
    """Return the error for ClickHouse's own number, name and message."""
    name = PERMANENT.get(code) or CREDENTIALS.get(code) or name or "UNKNOWN"
    if code in _UNKNOWN_USER:
        return CredentialsRefused(
            f"{url} does not know {user} with this password: set {password_setting}, or run this where its data"
            " directory is (TELEMETRY_DATA_DIR).",
            name,
            code,
        )
    remedy = _REMEDIES.get(name, "telemetry doctor looks at the server and its tables")
    text = f"ClickHouse at {url} refused a statement: code {code} ({name}). Remedy: {remedy}."
    return StatementRefused(text, name, code, message[:_MOST_OF_A_MESSAGE])

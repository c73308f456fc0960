"""ClickHouse's errors: their codes, their texts, and the HTTP statuses that its server gives them.

Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
and https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
"""

import re
from collections.abc import Mapping
from typing import Final

_CODE: Final = re.compile(r"Code: (\d+)\. ?")
_FOUND: Final = re.compile(r"Code: \d+\..*", re.DOTALL)


class QueryError(Exception):
    """An error as a ClickHouse server words it: `Code: 62. DB::Exception: … (SYNTAX_ERROR)`.

    The text can quote the query and the data it met: it is for the client who sent it, never for a log.
    """

    def __init__(self, text: str) -> None:
        found = _FOUND.search(text)
        self.text = " ".join((found[0] if found else text).split("\n")).strip()
        coded = _CODE.match(self.text)
        self.code = int(coded[1]) if coded else 0
        super().__init__(f"code {self.code}")

    @classmethod
    def of(cls, code: int, name: str, message: str) -> "QueryError":
        """Make one of ours, worded as the engine words its own."""
        return cls(f"Code: {code}. DB::Exception: {message} ({name})")

    @property
    def status(self) -> int:
        """The HTTP status for it."""
        return _STATUS.get(self.code, 500)


def not_allowed(message: str) -> QueryError:
    """Say that the user may not do this."""
    return QueryError.of(497, "ACCESS_DENIED", message)


_BAD_REQUEST: Final = (
    6,
    26,
    27,
    36,
    38,
    41,
    42,
    44,
    46,
    53,
    62,
    69,
    70,
    72,
    117,
    130,
    131,
    167,
    168,
    190,
    321,
    376,
    377,
)
_NOT_FOUND: Final = (47, 50, 56, 60, 63, 73, 81, 115, 128, 456, 511)
_STATUS: Final[Mapping[int, int]] = {
    **dict.fromkeys(_BAD_REQUEST, 400),
    **dict.fromkeys(_NOT_FOUND, 404),
    46: 404,  # UNKNOWN_FUNCTION
    48: 501,  # NOT_IMPLEMENTED
    159: 408,  # TIMEOUT_EXCEEDED
    192: 403,  # UNKNOWN_USER
    193: 403,  # WRONG_PASSWORD
    194: 401,  # REQUIRED_PASSWORD
    202: 503,  # TOO_MANY_SIMULTANEOUS_QUERIES: a server says 500; 503 tells clients to try again
    209: 503,  # SOCKET_TIMEOUT
    223: 413,  # QUERY_IS_TOO_LARGE
    373: 400,  # SESSION_IS_LOCKED
    381: 411,  # HTTP_LENGTH_REQUIRED
    439: 503,  # CANNOT_SCHEDULE_TASK
    497: 403,  # ACCESS_DENIED
    516: 403,  # AUTHENTICATION_FAILED
}

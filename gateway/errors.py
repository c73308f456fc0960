"""ClickHouse's errors: their codes, their texts, and the HTTP statuses that a ClickHouse server sends with them.

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

    The text can quote the query and its data, so it goes only to the client that sent the query, never to a log.
    """

    def __init__(self, text: str) -> None:
        found = _FOUND.search(text)
        self.text = " ".join((found[0] if found else text).split("\n")).strip()
        coded = _CODE.match(self.text)
        self.code = int(coded[1]) if coded else 0
        super().__init__(f"code {self.code}")

    @classmethod
    def of(cls, code: int, name: str, message: str) -> "QueryError":
        """Return an error of the gateway itself, worded as the engine words its own."""
        return cls(f"Code: {code}. DB::Exception: {message} ({name})")

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return _STATUS.get(self.code, 500)


def not_allowed(message: str) -> QueryError:
    """Return the error for something that the user may not do."""
    return QueryError.of(497, "ACCESS_DENIED", message)


_STATUS: Final[Mapping[int, int]] = {
    6: 400,  # CANNOT_PARSE_TEXT
    25: 400,  # CANNOT_PARSE_ESCAPE_SEQUENCE
    26: 400,  # CANNOT_PARSE_QUOTED_STRING
    27: 400,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    36: 400,  # BAD_ARGUMENTS
    38: 400,  # CANNOT_PARSE_DATE
    41: 400,  # CANNOT_PARSE_DATETIME
    42: 400,  # NUMBER_OF_ARGUMENTS_DOESNT_MATCH
    43: 400,  # ILLEGAL_TYPE_OF_ARGUMENT
    44: 400,  # ILLEGAL_COLUMN
    53: 400,  # TYPE_MISMATCH
    62: 400,  # SYNTAX_ERROR
    69: 400,  # ARGUMENT_OUT_OF_BOUND
    70: 400,  # CANNOT_CONVERT_TYPE
    72: 400,  # CANNOT_PARSE_NUMBER
    117: 400,  # INCORRECT_DATA
    130: 400,  # CANNOT_READ_ARRAY_FROM_TEXT
    131: 400,  # TOO_LARGE_STRING_SIZE
    167: 400,  # TOO_DEEP_AST
    168: 400,  # TOO_BIG_AST
    190: 400,  # SIZES_OF_ARRAYS_DONT_MATCH
    321: 400,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    376: 400,  # CANNOT_PARSE_UUID
    377: 400,  # ILLEGAL_SYNTAX_FOR_DATA_TYPE
    46: 404,  # UNKNOWN_FUNCTION
    47: 404,  # UNKNOWN_IDENTIFIER
    50: 404,  # UNKNOWN_TYPE
    56: 404,  # UNKNOWN_STORAGE
    60: 404,  # UNKNOWN_TABLE
    63: 404,  # UNKNOWN_AGGREGATE_FUNCTION
    73: 404,  # UNKNOWN_FORMAT
    81: 404,  # UNKNOWN_DATABASE
    115: 404,  # UNKNOWN_SETTING
    456: 404,  # UNKNOWN_QUERY_PARAMETER
    511: 404,  # UNKNOWN_ROLE
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

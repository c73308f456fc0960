"""What is wrong with a value that was written by hand or sent, in plain words; pydantic's own are for programmers.

No sentence repeats a value. Pydantic's kinds of faults: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

_TEXTS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of a usual size",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "mapping_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping of names to values",
    "ip_any_address": "must be an IP address",
    "ip_any_network": "must be an IP address or a network, such as 10.0.0.0/8",
    "path_type": "must be a path",
}
"""By pydantic's name of a fault; in braces what its context has."""


def described(fault: ErrorDetails) -> str:
    """Return a fault as the end of a sentence that begins with the value's name, such as `must be at most 9`.

    What a validator of this program says stays as it says it, and so does a fault of a kind that is not listed.
    """
    text = _TEXTS.get(fault["type"])
    if text is None:
        return fault["msg"].removeprefix("Value error, ")
    return text.format_map({name: _plain(bound) for name, bound in fault.get("ctx", {}).items()})


def located(fault: ErrorDetails) -> str:
    """Return a fault behind the place that it is at: `weights.0: must be a number`, or `all of it: …`."""
    return f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {described(fault)}"


def _plain(bound: Any) -> Any:
    """Return a bound as people write it: 1, where pydantic has 1.0 for a number that need not be whole."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound

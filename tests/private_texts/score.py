"""Whether a text of the corpus was treated right: nothing private left, look-alikes unchanged, JSON still JSON."""

import json
from typing import Final

from tests.private_texts.corpus import Text

WINDOW: Final = 6
"""Characters of a private part that may not be left in one piece."""


def is_right(text: Text, result: str) -> bool:
    """Whether nothing private is left in the result, or, for a look-alike, nothing was changed."""
    if not text.gone:
        return result == text.text
    return not any(left(part, text, result) for part in text.gone) and (
        not is_json(text.text) or is_json(result)
    )


def left(part: str, text: Text, result: str) -> bool:
    """Whether a piece of a private part is left that stood nowhere else in the text."""
    rest = text.text.replace(part, "")
    # What a form begins with is no secret.
    part = part[8:] if text.group == "token" else part
    size = min(WINDOW, len(part))
    pieces = (part[start : start + size] for start in range(len(part) - size + 1))
    return any(piece in result and piece not in rest for piece in pieces)


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False

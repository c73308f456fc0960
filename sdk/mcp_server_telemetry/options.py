"""What can be chosen about the instrumentation."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from mcp_server_telemetry.definitions import CATEGORIES, Category

TOOLS: Final = 100
MODELS: Final = 30
ERRORS: Final = 50


@dataclass(frozen=True, slots=True)
class Options:
    """Choices, all with defaults. The number of series is bounded by `tools`, `models` and `errors`.

    `models` are the names of models that sessions may be counted under; empty: the first MODELS that occur. With
    `record_content`, spans have hashes of a tool's arguments and result under the conventions' opt-in names: enough to
    see that two were equal, and nothing else. `hash_key` is the secret of these hashes, and of those of users; without
    one they can be compared within one process only.
    """

    categories: frozenset[Category] = frozenset(CATEGORIES)
    tools: int = TOOLS
    models: tuple[str, ...] = ()
    errors: int = ERRORS
    record_content: bool = False
    hash_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def hashed(self, text: str) -> str:
        """Return a text as 16 hexadecimal digits."""
        return hmac.new(
            self.hash_key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()[:16]

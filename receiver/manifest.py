"""Which requests a batch on disk is made of, in a file beside its blocks: so that resent ones are known again.

It is believed only while all of the batch is sure to be there: after a kill, which leaves the page cache, but not after
the machine went down, which the kernel's boot id tells; unless the batch was synced.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

import orjson

from receiver import block_file

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def write(path: Path, requests: Sequence[bytes]) -> None:
    """Write the names of requests. Raises OSError."""
    text = orjson.dumps({"boot": boot(), "requests": [request.hex() for request in requests]})
    with block_file.create(path) as file:
        file.write(text)


def read(path: Path, *, is_synced: bool) -> list[bytes]:
    """Read the names of requests; none when the file is damaged, or not to be believed."""
    try:
        found = orjson.loads(path.read_bytes())
        if is_synced or found["boot"] == boot():
            return [bytes.fromhex(request) for request in found["requests"]]
    except (OSError, KeyError, TypeError, ValueError):
        pass
    return []


def boot() -> str:
    """Name this run of the machine."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex()  # unknown: like no other

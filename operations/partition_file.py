"""One file of a backup: a partition in ClickHouse's Native format, compressed with zstd and, given a key, encrypted.

Encryption is age's (https://age-encryption.org/v1): to a public key, so that the machine that makes backups cannot read
them, and in a format that the `age` tool opens without this program. Each file is written once and fsynced, and its
SHA-256 is that of the bytes on disk.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyrage

from operations.errors import OperationError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE: Final = 1 << 20
_ZSTD: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}


@dataclass(frozen=True, slots=True)
class Written:
    """A file on disk: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


def write(path: Path, pieces: Iterable[bytes], recipient: str | None) -> Written:
    """Write a new file. `recipient` is a public key (`age1…`), None leaves the file unencrypted."""
    compressed = _compressed(pieces)
    with path.open("xb") as file:
        target = _Digest(file)
        if recipient:
            pyrage.encrypt_io(_Source(compressed), target, [public_key(recipient)])
        else:
            for piece in compressed:
                target.write(piece)
        file.flush()
        os.fsync(file.fileno())
        return Written(file.tell(), target.hexdigest())


def read(path: Path, identity: Any) -> Iterator[bytes]:
    """Yield a file's content. `identity` is the key (see `private_key`), None for a file that is not encrypted."""
    with path.open("rb") as file:
        source: Any = _Decrypted(file, identity) if identity else file
        try:
            yield from _plain(source)
        except zstd.ZstdError:
            raise OperationError(f"{path.name} cannot be decompressed: the file is damaged.") from None
        finally:
            if isinstance(source, _Decrypted):
                source.close()
        if isinstance(source, _Decrypted) and source.failed:
            raise OperationError(f"{path.name} cannot be decrypted: it needs another key, or is damaged.")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def public_key(text: str) -> Any:
    """Read a public key. Raises OperationError."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise OperationError(
            "The backup's recipient is not a public key of age, which begins with age1:"
            " make a key with `telemetry backup-key FILE` and set TELEMETRY_BACKUP_RECIPIENT to what it prints."
        ) from None


def private_key(path: Path) -> Any:
    """Read the key in a file (`-`: standard input), as `age-keygen` and `make_key` write it. Raises OperationError."""
    try:
        lines = (sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")).splitlines()
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return pyrage.x25519.Identity.from_str(keys[0])
    except OSError as error:
        raise OperationError(f"The key file {path} cannot be read ({error.strerror}).") from None
    except (IndexError, UnicodeDecodeError, pyrage.IdentityError):
        raise OperationError(
            f"{path} is not a key of age: it must hold a line that begins with AGE-SECRET-KEY-1."
        ) from None


def make_key(path: Path) -> str:
    """Write a new key to a file of its own, for its owner alone; return the public key. Raises OperationError."""
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperationError(
            f"The key file {path} cannot be made ({error.strerror}): name another one. An old key is never overwritten,"
            " since the backups made with it need it."
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"# public key: {public}\n{key}\n")
        file.flush()
        os.fsync(file.fileno())
    return public


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zstd.ZstdCompressor(options=_ZSTD)
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()


def _plain(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file's one frame in pieces. Raises ZstdError."""
    frame = zstd.ZstdDecompressor()
    while not frame.eof:
        compressed = source.read(_PIECE) if frame.needs_input else b""
        piece = frame.decompress(compressed, max_length=_PIECE)
        if piece:
            yield piece
        elif not compressed and frame.needs_input:
            return


class _Digest:
    """A file to write to, which takes the SHA-256 of what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class _Source:
    """Pieces as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        if not self._left:
            self._left = next(self._pieces, b"")
        piece, self._left = self._left[:size], self._left[size:]
        return piece


class _Decrypted:
    """An encrypted file to read the plain text of; a thread decrypts into a pipe, since age's library pushes."""

    def __init__(self, file: IO[bytes], identity: Any) -> None:
        source, target = os.pipe()
        self._plain = os.fdopen(source, "rb")
        self.failed = False
        self._thread = threading.Thread(target=self._decrypt, args=(file, target, identity), name="decrypt")
        self._thread.start()

    def read(self, size: int) -> bytes:
        piece = self._plain.read(size)
        if not piece:
            self._thread.join()
        return piece

    def close(self) -> None:
        self._plain.close()
        self._thread.join()

    def _decrypt(self, file: IO[bytes], target: int, identity: Any) -> None:
        try:
            with os.fdopen(target, "wb") as plain:
                pyrage.decrypt_io(file, plain, [identity])
        except (pyrage.DecryptError, OSError):  # the latter includes a pipe whose reader has gone
            self.failed = True

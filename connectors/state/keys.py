"""The keys by which credentials are encrypted, and the encryption: AES-GCM of 256 bits, a new nonce each time.

The first key encrypts; every one decrypts, by the id that is kept beside a ciphertext. A ciphertext is bound to its
connection's id: altered, or moved to another connection, it is refused. The keys are TELEMETRY_SECRET_KEY, or are
generated into a file of the data directory that its owner alone can read. They are read again for each use, so that a
rotation by one process is known to the others.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.state.errors import StateError

FILE: Final = "secret.key"
_NONCE: Final = 12
_FORM: Final = b"\x01"
"""The first byte of each ciphertext: the form in which the rest is written."""
_PURPOSE: Final = b"claude-code-telemetry connection "


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `id` names it and says nothing of it."""

    id: str
    cipher: AESGCM = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys are. `given` are those of TELEMETRY_SECRET_KEY; `folder` holds the generated ones."""

    given: Sequence[str] = field(repr=False)
    folder: Path | None

    def encrypt(self, text: bytes, connection_id: str) -> tuple[str, bytes]:
        """Return the id of the first key, and the ciphertext. Raises StateError."""
        found = self._all() or [_key(self._generated())]
        nonce = secrets.token_bytes(_NONCE)
        return found[0].id, _FORM + nonce + found[0].cipher.encrypt(nonce, text, _bound(connection_id))

    def decrypt(self, key_id: str, ciphertext: bytes, connection_id: str) -> bytes:
        """Return the text. Raises StateError when no key fits or the ciphertext was altered."""
        for key in self._all():
            if key.id == key_id:
                body = ciphertext[len(_FORM) :]
                try:
                    if ciphertext[: len(_FORM)] == _FORM:
                        return key.cipher.decrypt(body[:_NONCE], body[_NONCE:], _bound(connection_id))
                except (InvalidTag, ValueError):
                    pass
                raise StateError(
                    "The credentials of this connection were altered in the state: write them again."
                )
        raise StateError(
            "The credentials of this connection are encrypted with a key that is not here: add it to"
            " TELEMETRY_SECRET_KEY after the present one, bring back secret.key of the data directory, or write the"
            " credentials again."
        )

    def current(self) -> str | None:
        """Return the id of the key that encrypts, None before there is one."""
        found = self._all()
        return found[0].id if found else None

    def add_generated(self) -> None:
        """Put a new key before those of the file; keys that are given are not the file's. Raises StateError."""
        if self.given:
            raise StateError(
                "TELEMETRY_SECRET_KEY is set: put the new key before the old one in it, separated by a comma."
            )
        path = self._file()
        _replace(path, [_new(), *_lines(path)])

    def drop_others(self) -> None:
        """Remove all keys of the file but the first: nothing is encrypted with them any more."""
        if not self.given:
            path = self._file()
            _replace(path, _lines(path)[:1])

    def _all(self) -> list[Key]:
        if self.given:
            return [_key(text) for text in self.given]
        return [_key(text) for text in _lines(self._file())] if self.folder is not None else []

    def _file(self) -> Path:
        if self.folder is None:
            raise StateError(
                "Set TELEMETRY_SECRET_KEY, such as to the output of `openssl rand -hex 32`: with TELEMETRY_STATE_URL"
                " every process needs the same key to encrypt credentials."
            )
        return self.folder / FILE

    def _generated(self) -> str:
        """Return the first key of the file; make it, once for all processes that ask at the same time."""
        path = self._file()
        new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        try:
            _write(new, [_new()])
            with suppress(FileExistsError):
                os.link(new, path)
        except OSError as error:
            raise StateError(f"The key cannot be written to the data directory ({error.strerror}).") from None
        finally:
            new.unlink(missing_ok=True)
        return _lines(path)[0]


def _key(text: str) -> Key:
    return Key(_derived(text, b"id", 4).hex(), AESGCM(_derived(text, b"key", 32)))


def _derived(text: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=_PURPOSE + purpose).derive(text.encode())


def _bound(connection_id: str) -> bytes:
    return _PURPOSE + connection_id.encode()


def _new() -> str:
    return secrets.token_hex(32)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(
            f"{path.name} of the data directory cannot be read ({type(error).__name__})."
        ) from None


def _replace(path: Path, lines: Sequence[str]) -> None:
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        _write(new, lines)
        new.replace(path)
    except OSError as error:
        raise StateError(f"The key cannot be written to the data directory ({error.strerror}).") from None
    finally:
        new.unlink(missing_ok=True)


def _write(path: Path, lines: Sequence[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())

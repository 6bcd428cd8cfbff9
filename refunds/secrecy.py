"""Secrets: the master key and the keys it wraps, fields encrypted under them, keyed digests, tokens, passwords.

A sealed value is one byte of format version, a random nonce, and the ciphertext with its tag. It opens only at the
place it was sealed for: its table, column and row are authenticated with it, so that values cannot be swapped.
"""

import hmac
import os
import secrets
import stat
import zlib
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from refunds.errors import ConfigurationError, Crowded, RefundsError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_FORMAT = b"\x01"
_NONCE = 12
_KEY = 32


class Tampered(RefundsError):
    """A sealed value does not open: it, its place or its key is not what it was."""


def new_key() -> bytes:
    """A random key of 256 bits."""
    return secrets.token_bytes(_KEY)


def place(table: str, column: str, row: str) -> bytes:
    """Where a sealed value stands."""
    return f"{_FORMAT[0]}|{table}|{column}|{row}".encode()


def seal(key: bytes, value: bytes, where: bytes) -> bytes:
    """The value encrypted, to be opened at this place only."""
    nonce = os.urandom(_NONCE)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, value, where)


def unseal(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """The value that was sealed; raises `Tampered`."""
    if not isinstance(sealed, bytes) or not sealed.startswith(_FORMAT):
        raise Tampered(f"not a sealed value: {where.decode()}")
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], where)
    except (InvalidTag, ValueError):
        raise Tampered(f"does not open: {where.decode()}") from None


def keyed_digest(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 over the parts, each with its length, so that no two lists of parts are told alike."""
    told = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key, told, "sha256")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The master key, and the keys of the service that it wraps, each for one purpose."""

    master: bytes
    lookup: bytes
    """Finds a customer by a reference that is not stored in clear."""
    audit: bytes
    """Chains the journal."""
    idempotency: bytes
    """Recognises a request that was sent before."""
    cursor: bytes
    """Marks the cursors of lists as the service's own."""
    notes: bytes
    """Seals what staff wrote about no customer."""
    session: bytes
    """Signs the sessions of the console and its forms, and counts attempts at signing in."""


SERVICE_KEYS = ("lookup", "audit", "idempotency", "cursor", "notes", "session")


@dataclass(frozen=True, slots=True)
class Vault:
    """What opens and closes the personal fields of one customer; without a key it opens none."""

    key: bytes | None

    def seal(self, text: str | None, table: str, column: str, row: str) -> bytes | None:
        """The text encrypted for its place."""
        if self.key is None:
            raise RuntimeError("a closed vault must not seal a field")
        return None if text is None else seal(self.key, text.encode(), place(table, column, row))

    def unseal(self, sealed: bytes | None, table: str, column: str, row: str) -> str | None:
        """The text; None where there is none, or where it is not for this reader."""
        if sealed is None or self.key is None:
            return None
        return unseal(self.key, sealed, place(table, column, row)).decode()


CLOSED = Vault(None)
"""For what is nobody's, and for those who may not see what is personal."""


def read_master_key(path: Path) -> bytes:
    """The key in a file that its owner alone can read; raises `ConfigurationError`."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise ConfigurationError(
            f"REFUNDS_MASTER_KEY_FILE: {path} does not exist. Bring back the file that belongs to this database, or "
            f"for a new one make it: (umask 077; openssl rand -hex {_KEY} > {path})"
        ) from None
    except (OSError, ValueError):
        raise ConfigurationError(f"REFUNDS_MASTER_KEY_FILE: {path} cannot be read as text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"REFUNDS_MASTER_KEY_FILE: others can read {path}: chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise ConfigurationError(f"REFUNDS_MASTER_KEY_FILE: {path} does not hold {_KEY} bytes in hexadecimal digits")
    return key


def create_master_key(path: Path) -> None:
    """Make a master key where there is none yet, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(new_key().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whole or not at all, and of several processes the first wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECK = 8, 43, 6
_PREFIX = "rfd"


class Token(NamedTuple):
    """A token, of which only the id and the digest of its secret are stored."""

    token_id: str
    text: str
    secret_digest: bytes


def new_token() -> Token:
    """A token with 256 random bits: `rfd_<id>_<secret>_<checksum>`."""
    token_id, secret = ("".join(secrets.choice(_ALPHABET) for _ in range(length)) for length in (_ID, _SECRET))
    return _token(token_id, secret)


def read_token(text: str) -> Token | None:
    """The token that a text is; None where it is none, which its checksum tells without a look-up."""
    parts = text.split("_")
    if len(parts) != 4 or [len(part) for part in parts[1:]] != [_ID, _SECRET, _CHECK]:  # noqa: PLR2004
        return None
    if not (text.isascii() and "".join(parts).isalnum()):
        return None
    token = _token(parts[1], parts[2])
    return token if hmac.compare_digest(token.text.encode(), text.encode()) else None


def _token(token_id: str, secret: str) -> Token:
    body = f"{_PREFIX}_{token_id}_{secret}"
    return Token(token_id, f"{body}_{_base62(zlib.crc32(body.encode()))}", sha256(secret.encode()).digest())


def _base62(number: int) -> str:
    digits = ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


_PASSWORD = 4, 5
"""Groups of a password, and letters in each: 100 random bits, to be typed once and then kept."""

_PLAIN_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""None that looks like another one."""

_ROUNDS, _KIBIBYTES, _LANES = 2, 19 * 1024, 1
_hashing, _trying = BoundedSemaphore(2), BoundedSemaphore(8)
"""Each takes its memory, so whoever comes third waits; and whoever comes ninth is told so, and holds no thread."""


def new_password() -> str:
    """A random password, such as `k7qfm-3xw9p-a2rtz-8hnce`."""
    groups, letters = _PASSWORD
    return "-".join("".join(secrets.choice(_PLAIN_LETTERS) for _ in range(letters)) for _ in range(groups))


def password_hash(password: str) -> str:
    """What is stored of a password."""
    with _hashing:
        return _passwords().hash(password)


def password_fits(password: str, stored: str | None) -> bool:
    """Whether a password is the one of which this is stored; where nothing is, it takes just as long.

    Raises `Crowded` where too many are tried at once.
    """
    from argon2.exceptions import VerificationError  # noqa: PLC0415

    if not _trying.acquire(blocking=False):
        raise Crowded("Too many are signing in: try again in a moment.")
    try:
        with _hashing:
            return _passwords().verify(stored or _nobodys(), password) and stored is not None
    except (VerificationError, ValueError):  # another password; what is no hash, or a text that is no UTF-8
        return False
    finally:
        _trying.release()


@cache
def _passwords() -> "PasswordHasher":
    """argon2id, imported for the first password."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher(_ROUNDS, _KIBIBYTES, _LANES)


def _nobodys() -> str:
    """A hash that nobody knows a password of, and that takes as long to try as any."""
    from argon2.low_level import ARGON2_VERSION  # noqa: PLC0415

    cost = f"m={_KIBIBYTES},t={_ROUNDS},p={_LANES}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${'A' * 22}${'A' * 43}"

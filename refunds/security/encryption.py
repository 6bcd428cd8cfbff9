"""Encryption: the keys that the master key wraps, fields sealed under them, keyed digests.

A sealed value is one byte of format version, a random nonce, and the ciphertext with its tag. It opens only at the
place it was sealed for: its table, column and row are authenticated with it, so that values cannot be swapped.
"""

import hmac
import os
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from refunds.errors import RefundsError

_FORMAT = b"\x01"
_NONCE = 12
KEY_BYTES = 32


class Tampered(RefundsError):
    """A sealed value does not open: it, its place or its key is not what it was."""


def new_key() -> bytes:
    """A random key of 256 bits."""
    return secrets.token_bytes(KEY_BYTES)


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
class CustomerCipher:
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


NO_ACCESS = CustomerCipher(None)
"""For what is nobody's, and for those who may not see what is personal."""

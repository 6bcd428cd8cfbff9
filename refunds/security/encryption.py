"""Encryption: the keys that the master key wraps, the fields encrypted under them, keyed digests.

An encrypted value is one byte of format version, a random nonce, and the ciphertext with its tag. Its table, column and
row are authenticated with it, so that it opens only where it stands, and values cannot be swapped.
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
    """An encrypted value does not open: it, its place or its key is not what it was."""


def new_key() -> bytes:
    """A random key of 256 bits."""
    return secrets.token_bytes(KEY_BYTES)


def associated_data(table: str, column: str, row: str) -> bytes:
    """Where an encrypted value stands, to be authenticated with it."""
    return f"{_FORMAT[0]}|{table}|{column}|{row}".encode()


def encrypt(key: bytes, value: bytes, where: bytes) -> bytes:
    """The value encrypted, to be opened at this place only."""
    nonce = os.urandom(_NONCE)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, value, where)


def decrypt(key: bytes, encrypted: bytes, where: bytes) -> bytes:
    """The value that was encrypted; raises `Tampered`."""
    if not isinstance(encrypted, bytes) or not encrypted.startswith(_FORMAT):
        raise Tampered(f"not an encrypted value: {where.decode()}")
    try:
        return AESGCM(key).decrypt(encrypted[1 : 1 + _NONCE], encrypted[1 + _NONCE :], where)
    except (InvalidTag, ValueError):
        raise Tampered(f"does not open: {where.decode()}") from None


def keyed_digest(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 over the parts, each with its length, so that no two lists of parts are told alike."""
    payload = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key, payload, "sha256")


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

    def encrypt(self, text: str | None, table: str, column: str, row: str) -> bytes | None:
        """The text encrypted for its place."""
        if self.key is None:
            raise RuntimeError("a field must not be encrypted without a key")
        return None if text is None else encrypt(self.key, text.encode(), associated_data(table, column, row))

    def decrypt(self, encrypted: bytes | None, table: str, column: str, row: str) -> str | None:
        """The text; None where there is none, or where it is not for this reader."""
        if encrypted is None or self.key is None:
            return None
        return decrypt(self.key, encrypted, associated_data(table, column, row)).decode()


NO_ACCESS = CustomerCipher(None)
"""For what is nobody's, and for those who may not see what is personal."""

"""Encryption: the keys that the master key wraps, the fields encrypted under them, keyed digests.

An encrypted value is one byte of format version, a random nonce, and the ciphertext with its tag. Its table, column and
row are authenticated with it, so that it decrypts only in its own place, and values cannot be swapped.
"""

import hmac
import os
import secrets
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from refunds.errors import CallersError, Message, RefundsError

_FORMAT = b"\x01"
_NONCE = 12
KEY_BYTES = 32


class CustomerErased(CallersError, code="customer-erased"):
    """A use case would store a personal field of a customer who was erased."""

    def __init__(self) -> None:
        super().__init__(Message("The customer of this order was erased: nothing personal of them is stored any more."))


class Erased(str):
    """The text that is read from an erased field; it is stored as erased again, unlike an equal plain text."""

    __slots__ = ()


ERASED = Erased("[erased]")


class Hidden(str):
    """A text that the reader may not see: it shows as `[restricted]`, but is compared and stored as the text itself."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Return the text, hidden."""
        hidden = super().__new__(cls, "[restricted]")
        hidden.text = text
        return hidden

    def __eq__(self, other: object) -> bool:
        return self.text == (other.text if isinstance(other, Hidden) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.text)


class Tampered(RefundsError):
    """An encrypted value cannot be decrypted: the value, its place or its key has changed."""


def new_key() -> bytes:
    """Return a random key of 256 bits."""
    return secrets.token_bytes(KEY_BYTES)


def associated_data(table: str, column: str, row: str) -> bytes:
    """Return the bytes `format|table|column|row`, with which a value is encrypted so that it fits no other place."""
    return f"{_FORMAT[0]}|{table}|{column}|{row}".encode()


def encrypt(key: bytes, value: bytes, where: bytes) -> bytes:
    """Return a value encrypted so that it decrypts only with the same `where`, from `associated_data`."""
    nonce = os.urandom(_NONCE)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, value, where)


def decrypt(key: bytes, encrypted: bytes, where: bytes) -> bytes:
    """Return a value decrypted; raise `Tampered` if the value, its place or the key is wrong."""
    if not isinstance(encrypted, bytes) or not encrypted.startswith(_FORMAT):
        raise Tampered(Message("not an encrypted value: %(place)s", place=where.decode()))
    try:
        return AESGCM(key).decrypt(encrypted[1 : 1 + _NONCE], encrypted[1 + _NONCE :], where)
    except (InvalidTag, ValueError):
        raise Tampered(Message("cannot be decrypted: %(place)s", place=where.decode())) from None


def keyed_digest(key: bytes, *parts: bytes) -> bytes:
    """Return the HMAC-SHA256 of the parts, each with its length, so that no two lists of parts give the same input."""
    payload = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key, payload, "sha256")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The master keys, of which the first wraps new keys, and the service's own keys, one for each purpose."""

    masters: tuple[bytes, ...]
    lookup: bytes  # finds a customer by a reference that is not stored in clear
    audit: bytes  # chains the journal
    idempotency: bytes  # recognises a request that was sent before
    cursor: bytes  # marks the cursors of lists as the service's own
    notes: bytes  # encrypts what staff wrote about no customer
    session: bytes  # signs the sessions of the console and its forms, and counts attempts at signing in


SERVICE_KEYS = ("lookup", "audit", "idempotency", "cursor", "notes", "session")


@dataclass(frozen=True, slots=True)
class CustomerCipher:
    """Encrypts and decrypts the personal fields of a customer.

    The key is empty for an erased customer, None if the reader has no access; with `hides`, texts become `Hidden`.
    """

    key: bytes | None
    hides: bool = False

    def encrypt(self, text: str | None, table: str, column: str, row: str) -> bytes | None:
        """Return a text encrypted for its place; None for None, and `b""`, the mark of erasure, for an `Erased` text.

        Of a `Hidden` text, what it hides is encrypted. Raises `RuntimeError` without access, even for None, and
        `CustomerErased` if the customer is erased, except for None and an `Erased` text.
        """
        if self.key is None:
            raise RuntimeError("a field must not be encrypted without a key")
        if text is None or isinstance(text, Erased):
            return None if text is None else b""
        self.require_key()
        plain = text.text if isinstance(text, Hidden) else text
        return encrypt(self.key, plain.encode(), associated_data(table, column, row))

    def require_key(self) -> None:
        """Raise `CustomerErased` if the key was erased; do nothing if it is there, or if the reader has no access."""
        if self.is_erased:
            raise CustomerErased

    @property
    def is_erased(self) -> bool:
        """Whether the key was erased."""
        return self.key == b""

    def decrypt(self, encrypted: bytes | None, table: str, column: str, row: str) -> str | None:
        """Return a decrypted text; `ERASED` if it was erased, None for None or if the cipher has no access.

        A cipher that hides returns it as `Hidden`. Raise `Tampered` if it cannot be decrypted in this place.
        """
        if encrypted is None or self.key is None:
            return None
        if encrypted == b"":
            return ERASED
        text = decrypt(self.key, encrypted, associated_data(table, column, row)).decode()
        return Hidden(text) if self.hides else text


NO_ACCESS = CustomerCipher(None)  # for records without personal fields, and for readers who may not see them

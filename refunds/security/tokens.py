"""Tokens of clients; only the id and the digest of the secret are stored."""

import hmac
import re
import secrets
import zlib
from hashlib import sha256
from typing import NamedTuple

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_ID, _SECRET, _CHECK = 8, 43, 6

_PREFIX = "rfd"

_FORM = re.compile(rf"{_PREFIX}_([0-9A-Za-z]{{{_ID}}})_([0-9A-Za-z]{{{_SECRET}}})_[0-9A-Za-z]{{{_CHECK}}}")


class Token(NamedTuple):
    """A token, as its holder sends it in `text`; only its id and the digest of its secret are stored."""

    token_id: str
    text: str
    secret_digest: bytes


def new_token() -> Token:
    """Return a random token with 256 random bits: `rfd_<id>_<secret>_<checksum>`. It is not stored yet."""
    token_id, secret = ("".join(secrets.choice(_ALPHABET) for _ in range(length)) for length in (_ID, _SECRET))
    return _token(token_id, secret)


def read_token(text: str) -> Token | None:
    """Return the token that a text is; None if its form or checksum is wrong. It need not have been issued."""
    parts = _FORM.fullmatch(text)
    if parts is None:
        return None
    token = _token(parts[1], parts[2])
    return token if hmac.compare_digest(token.text.encode(), text.encode()) else None


def _token(token_id: str, secret: str) -> Token:
    """Return the token of these parts, with its checksum and the digest of its secret."""
    body = f"{_PREFIX}_{token_id}_{secret}"
    return Token(token_id, f"{body}_{_base62(zlib.crc32(body.encode()))}", sha256(secret.encode()).digest())


def _base62(number: int) -> str:
    """Return a number in six letters and digits, with zeros in front."""
    digits = ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits

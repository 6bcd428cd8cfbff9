"""Passwords of users: made by the service, stored as hashes."""

import os
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from refunds.errors import Crowded, Message

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_PASSWORD = 4, 5  # groups of a password, and letters in each: 100 random bits, to be typed once and then saved
_PLAIN_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # without letters that look alike

_ROUNDS, _KIBIBYTES, _LANES = 2, 19 * 1024, 1


def _yield_processors() -> None:
    """Give this thread a low priority: a hash keeps a processor busy for long, while others wait for short answers."""
    if sys.platform == "linux":  # elsewhere, the priority is that of the whole process
        with suppress(OSError):  # a sandbox can forbid it: all sign-ins would fail if the thread did
            os.nice(10)


_hashing = ThreadPoolExecutor(2, "hashing", _yield_processors)  # a third hash waits
_trying = BoundedSemaphore(8)  # a ninth sign-in is refused


def new_password() -> str:
    """Return a random password, such as `k7qfm-3xw9p-a2rtz-8hnce`."""
    groups, letters = _PASSWORD
    return "-".join("".join(secrets.choice(_PLAIN_LETTERS) for _ in range(letters)) for _ in range(groups))


def password_hash(password: str) -> str:
    """Return the hash of a password, to be stored; wait while two other hashes are made or checked."""
    return _hashing.submit(_passwords().hash, password).result()


def password_fits(password: str, stored: str | None) -> bool:
    """Tell whether a password fits a hash; False, in the same time, if there is none.

    Raises `Crowded` if eight other passwords are being tried at this moment.
    """
    from argon2.exceptions import VerificationError  # noqa: PLC0415

    if not _trying.acquire(blocking=False):
        raise Crowded(Message("Too many are signing in: try again in a moment."))
    try:
        trial = _hashing.submit(_passwords().verify, stored or _nobodys(), password)
        return trial.result() and stored is not None
    except (VerificationError, ValueError):  # another password; not a hash, or a text that is not UTF-8
        return False
    finally:
        _trying.release()


@cache
def _passwords() -> "PasswordHasher":
    """Return the hasher of passwords, the same at each call, which is loaded only when it is first needed."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher(_ROUNDS, _KIBIBYTES, _LANES)


def _nobodys() -> str:
    """Return a hash that no known password fits, to be tried for names that do not exist."""
    from argon2.low_level import ARGON2_VERSION  # noqa: PLC0415

    cost = f"m={_KIBIBYTES},t={_ROUNDS},p={_LANES}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${'A' * 22}${'A' * 43}"

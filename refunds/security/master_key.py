"""The file of the master key, which holds the next one or older ones as well while it is changed."""

import os
import secrets
import stat
from pathlib import Path

from refunds.errors import ConfigurationError, Message
from refunds.security.encryption import KEY_BYTES, new_key


def read_master_keys(path: Path) -> tuple[bytes, ...]:
    """Read the master keys from a private file, one of 32 bytes a line: the first wraps new keys, all unwrap.

    Raise `ConfigurationError` if the file does not exist or cannot be read, if others could read or change it, if a
    line is not 64 hexadecimal digits, if the file is empty, or if two lines hold the same key.
    """
    try:
        with path.open(encoding="ascii") as file:  # one file, even if a link to it is moved to the next one meanwhile
            found, text = os.fstat(file.fileno()), file.read().strip()
    except FileNotFoundError:
        detail = Message(
            "REFUNDS_MASTER_KEY_FILE: %(path)s does not exist. Bring back the file that belongs to this database, or "
            "make one for a new database: (umask 077; openssl rand -hex %(bytes)s > %(path)s)",
            path=path,
            bytes=KEY_BYTES,
        )
        raise ConfigurationError(detail) from None
    except OSError as error:
        detail = Message("REFUNDS_MASTER_KEY_FILE: %(path)s: %(reason)s", path=path, reason=error.strerror)
        raise ConfigurationError(detail) from None
    except ValueError:
        detail = Message("REFUNDS_MASTER_KEY_FILE: %(path)s cannot be read as text", path=path)
        raise ConfigurationError(detail) from None
    if not is_private(found.st_mode, found.st_uid):
        mode = 600 if found.st_uid else 640
        raise ConfigurationError(
            Message("REFUNDS_MASTER_KEY_FILE: others can read %(path)s: chmod %(mode)s %(path)s", path=path, mode=mode)
        )
    return _read(path, text)


def _read(path: Path, text: str) -> tuple[bytes, ...]:
    """Return the keys in the text of the file, one a line, in their order.

    Raises `ConfigurationError` if the text is empty, a line is no key, or two lines are the same key.
    """
    lines: dict[bytes, int] = {}
    for line, digits in enumerate(text.splitlines() or [""], 1):
        try:
            key = bytes.fromhex(digits)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            detail = Message(
                "REFUNDS_MASTER_KEY_FILE: %(path)s does not hold %(bytes)s bytes in hexadecimal digits in line "
                "%(line)s",
                path=path,
                bytes=KEY_BYTES,
                line=line,
            )
            raise ConfigurationError(detail)
        if key in lines:
            same = {"path": path, "line": line, "first": lines[key]}
            raise ConfigurationError(
                Message(
                    "REFUNDS_MASTER_KEY_FILE: %(path)s holds the same key in line %(first)s and line %(line)s: delete "
                    "line %(line)s. To rotate, add a new key",
                    **same,
                )
            )
        lines[key] = line
    return tuple(lines)


def is_private(mode: int, owner: int) -> bool:
    """Tell whether only the owner has permissions on a file with this mode; if root owns it, its group may read it too.

    The latter is how Kubernetes and systemd mount a secret for the service. `owner` is the user id of the owner.
    """
    return not mode & (stat.S_IRWXO | stat.S_IRWXG & ~(0 if owner else stat.S_IRGRP))


def create_master_key(path: Path) -> None:
    """Write a new master key to a private file in a directory that is made if missing; leave a file that exists.

    Raise `OSError` if that is not possible.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(new_key().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whole or not at all; the first of several processes wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()

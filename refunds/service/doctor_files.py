"""The doctor's checks of files: where they are, who may use them, and what is noted in them."""

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from refunds.config import require_key_file, require_ledger
from refunds.domain.instants import format_instant
from refunds.errors import Message
from refunds.security.master_key import read_master_keys
from refunds.service import upkeep
from refunds.service.clock import BEHIND
from refunds.service.examination import Found, Patient, failed, ok, warning
from refunds.storage import keys

LEAST, ENOUGH = 10**8, 10**9
"""Free bytes of a disk, below which the service is about to stop, and above which it is well.

Beside the database twice its size, for a backup and a restore.
"""

LOGS = Path("/var/log")  # where a machine keeps its logs, unless the operator has chosen another place


def key(patient: Patient) -> Found:
    """Check that the key file is there and private, opens the database, lies apart from it, and has one key only."""
    path = require_key_file(patient.settings)
    masters = read_master_keys(path)
    yield from _apart(patient, path.parent, Message("the master key"))
    with patient.records() as uow:
        found = keys.opened_by(uow.tx, masters)
    yield ok(Message("%(file)s is private and opens the keys of the database", file=path))
    older, lost = sum(sum(one[1:-1]) for one in found.values()), sum(one[-1] for one in found.values())
    if lost:
        which = ", ".join(f"{table} {counts[-1]}" for table, counts in found.items() if counts[-1])
        text = Message("no key in it opens these wrapped keys: %(which)s", which=which)
        yield failed(text, Message("bring back the key that is missing, as a further line: without it they are lost"))
    if older:
        yield warning(
            Message("%(number)s wrapped keys need a key after the first one", number=older),
            Message("keep it; once every instance was restarted with this file, run flask keys rotate"),
        )
    elif len(masters) > 1:
        yield warning(
            Message("only the first of its %(number)s keys is needed", number=len(masters)),
            Message(
                "if another one is new: put it first, once every instance was restarted with this file; if it is an "
                "older one: delete its line, restart every instance, run this again, and destroy it"
            ),
        )


def _apart(patient: Patient, directory: Path, what: Message) -> Found:
    """Yield a warning, in production, if the SQLite database is in the same `directory` as `what`, such as a key."""
    if patient.settings.production and patient.file and patient.file.parent.resolve() == directory.resolve():
        yield warning(
            Message("%(what)s is in the directory of the database", what=what),
            Message("keep them on different disks, and in different backups"),
        )


def ledger(patient: Patient) -> Found:
    """Yield what is wrong with the directory of the checkpoints: empty, not writable, or beside the database; or ok.

    Raises `ConfigurationError` if no directory is set.
    """
    directory, file = require_ledger(patient.settings), patient.store.checkpoints.file
    written = list(patient.store.checkpoints)
    shut = list(_unwritable(directory, file, patient.store.erasures.file, directory / "retention.lock"))
    if not written:
        yield failed(
            Message("%(file)s has no checkpoint", file=file),
            Message(
                "set REFUNDS_LEDGER_DIR to the directory of this installation's; if it is lost, put the files of the "
                "newest backup there, or use flask audit accept"
            ),
        )
    elif shut:
        yield from shut
    else:
        last = written[-1]
        given = {"file": file, "position": last.position, "at": format_instant(last.at)}
        yield ok(Message("%(file)s goes up to position %(position)s, %(at)s", **given))
    yield from _apart(patient, directory, Message("the directory of the checkpoints"))


def permissions(patient: Patient) -> Found:
    """Yield a finding if this user cannot write the database, and one for each file on which others have permissions.

    Yields the finding that all is well if there is none of these.

    A group may share the ledger. The master key is checked by `key`, writing the ledger by `ledger`.
    """
    file, exposed = patient.file, False
    for path, forbidden in _forbidden_bits(patient):
        if path.exists() and (mode := path.stat().st_mode & forbidden):
            exposed = True
            yield warning(
                Message("other users have permissions on %(file)s: %(mode)s", file=path, mode=format(mode, "03o")),
                f"chmod {'go' if forbidden & 0o070 else 'o'}= {path}",
            )
    locks = [file.with_name(f"{file.name}{end}") for end in (".lock", ".in-use")] if file else []
    shut = list(_unwritable(file.parent, *_files(file), *locks)) if file and file.exists() else []
    yield from shut
    if not (exposed or shut):
        yield ok(Message("no other user reads or changes what is kept"))


def _unwritable(*paths: Path) -> Found:
    """Yield one finding that names those of the paths that this user may not write; none if there are no such."""
    shut = [path for path in paths if path.exists() and not os.access(path, os.W_OK | os.X_OK * path.is_dir())]
    if shut:
        yield failed(
            Message("%(file)s cannot be written by this user", file=", ".join(map(str, shut))),
            Message("run this command as the user of the service, or let that user write there"),
        )


def _files(file: Path) -> list[Path]:
    """Return the path of an SQLite database, of its log and of its shared memory."""
    return [file.with_name(f"{file.name}{end}") for end in ("", "-wal", "-shm")]


def _forbidden_bits(patient: Patient) -> Iterator[tuple[Path, int]]:
    """Yield each private path with the mode bits that it must not have; only the ledger may be shared by a group."""
    yield patient.store.checkpoints.file.parent, 0o002
    yield patient.store.checkpoints.file, 0o007
    yield patient.store.erasures.file, 0o007
    if key := patient.settings.master_key_file:
        yield key.with_name("tokens.env"), 0o077
    if file := patient.file:
        yield from ((path, 0o077) for path in _files(file))


def disk(patient: Patient) -> Found:
    """Yield a finding for the disk of the database, of the checkpoints and of the logs: ok if it has room enough.

    Enough is a gigabyte, and for the database at least twice its size; less than that is a warning or a failure. A
    place that does not exist is left out, and so is a database on a server.
    """
    places = [(Message("checkpoints"), patient.settings.ledger_dir, 0), (Message("logs"), LOGS, 0)]
    if file := patient.file:
        places.insert(0, (Message("database"), file.parent, 2 * file.stat().st_size if file.exists() else 0))
    for what, place, more in places:
        if place and place.exists():
            free, needed = shutil.disk_usage(place).free, max(ENOUGH, more)
            named = {"what": what, "free": free // 10**6, "place": place}
            text = Message("%(what)s: %(free)s MB are free in %(place)s", **named)
            fix = Message("make room for %(needed)s MB", needed=needed // 10**6)
            yield ok(text) if free >= needed else (warning if free >= LEAST else failed)(text, fix)


def backups(patient: Patient) -> Found:
    """Yield a finding on the last backup, the last audit and the last retention run, each ok or a warning.

    A warning is for one that was never done, was done more than 2, 8 or 2 days ago, or is in the future. A server may
    have backups of its own, so a missing or older backup of a server is no finding.
    """
    directory = require_ledger(patient.settings)
    for command, what, most in (
        ("flask backup", "backup", 2),
        ("flask audit verify", "verify", 8),
        ("flask retention run", "retention", 2),
    ):
        done = upkeep.last_done(directory, what)
        never = Message("%(command)s was never done, as far as is known", command=command)
        last = Message("%(command)s was last done %(at)s", command=command, at=format_instant(done)) if done else never
        if done and done > patient.now + BEHIND:
            yield warning(
                Message("%(last)s, which is in the future", last=last),
                Message("compare the clocks of the machines, then run it again"),
            )
        elif done and patient.now - done <= timedelta(days=most):
            yield ok(last)
        elif patient.file or command != "flask backup":  # a server has backups of its own
            yield warning(last, Message("run it regularly, as with cron"))

"""The verification of everything, in a thread of its own: it is begun in the console, and its result can be printed.

What was found last is noted beside the checkpoints, where every instance reads it.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import orjson
from flask import Response, g

from refunds.domain.instants import format_instant, parse_instant
from refunds.domain.permissions import Principal, Scope
from refunds.errors import DamagedDatabase, Message, RefundsError, StorageUnavailable
from refunds.presentation.language import each_language, language, translate
from refunds.schemas.strict import StrictSchema
from refunds.service import upkeep
from refunds.service.store import Store
from refunds.storage.audit import Report
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import action, page, screen, to
from refunds.web.console.forms import Form

MOST = 100
"""The most faults that are shown; the others are counted."""

SOON = 2
"""Seconds that a reader waits for the result before they are shown that the verification is under way."""

_BEAT, _BROKEN_OFF = 5, timedelta(seconds=60)
"""How often it is noted that a verification is under way, in seconds, and after which silence it is not any more."""

_beginning = Lock()


@screen("/journal/verification", Scope.AUDIT_READ)
def verification(uow: UnitOfWork, form: Form) -> Response:
    """Show the last verification of any instance, to print: its result, or that it runs, broke off or never was."""
    found = _last_verification()
    return page(
        "verification.html",
        form,
        found=found,
        faults=found["faults"].get(language(), []),
        names=uow.users.names([found["by"], *(one["actor"] for one in found["accepted"])]),
    )


@action("/journal/verification", verification, Scope.AUDIT_READ, transaction=None)
def verify(_: UnitOfWork | None, form: Form) -> Response:
    """Begin a verification in a thread, unless one is under way, and redirect to its page after two seconds at most.

    Who began it is noted beside the checkpoints, not journalled. Raises `StorageUnavailable` if that is not possible.
    """
    form.read(StrictSchema)
    with _beginning:
        if _last_verification()["state"] != "running":
            base = {"state": "running", "by": g.principal.actor, "began": format_instant(datetime.now(UTC))}
            try:
                upkeep.write_note(_directory(auth.store()), "verification", 0, **base)
            except OSError:
                raise StorageUnavailable(Message("The directory of the checkpoints cannot be written.")) from None
            following = Thread(target=_follow, args=(auth.store(), g.principal, base), name="verification", daemon=True)
            following.start()
            following.join(SOON)
    return to("verification")


def _directory(store: Store) -> Path:
    """Return the directory of the checkpoints, which has the notes about verifications."""
    return store.checkpoints.file.parent


def _last_verification() -> dict[str, Any]:
    """Return the note on the last verification, as read from its file; missing keys have the values in `_NOTHING`.

    `state` is `broken_off` if the note says `running` and is older than `_BROKEN_OFF`.
    """
    found = upkeep.read_note(_directory(auth.store()), "verification")
    with suppress(KeyError, TypeError, ValueError):
        if found["state"] == "running" and datetime.now(UTC) - parse_instant(found["at"]) > _BROKEN_OFF:
            return _NOTHING | found | {"state": "broken_off"}
    return _NOTHING | found


_NOTHING: dict[str, Any] = {
    "state": None,
    "by": "",
    "position": 0,
    "checkpointed": 0,
    "faults": {},
    "further": 0,
    "accepted": (),
}


def _follow(store: Store, principal: Principal, base: Mapping[str, Any]) -> None:
    """Run a verification in a thread and wait for its end; note every few seconds that it runs, then its result.

    Each note includes `base`. An error in the verification is logged, not raised; the last note then says `broken_off`.
    """
    found: list[dict[str, Any]] = []
    worker = Thread(target=lambda: found.append(_verified(store, principal)), name="verification", daemon=True)
    worker.start()
    while worker.is_alive():
        upkeep.write_note(_directory(store), "verification", 0, **base)
        worker.join(_BEAT)
    ended = found[0] if found else {"state": "broken_off"}  # an error that ends a thread is logged
    upkeep.write_note(_directory(store), "verification", **{"position": 0, **base, **ended})


def _verified(store: Store, principal: Principal) -> dict[str, Any]:
    """Verify the whole database, and return the result as the fields of a note for the console.

    If all is sound, note beside the checkpoints that it was verified now.
    """
    checkpoints, report = list(store.checkpoints), Report()  # the journal, which only grows, is read after them
    faults, further = list[RefundsError](), 0
    with store.read(principal) as uow:
        try:
            every = uow.faults(checkpoints, report)
            faults.extend(islice(every, MOST))
            further = sum(1 for _ in every)
            store.open()[0].require_whole(uow.tx)
        except DamagedDatabase as error:
            faults.append(error)
    if not faults:
        upkeep.write_note(_directory(store), "verify", report.events)
    return {
        "state": "broken" if faults else "sound",
        "position": report.events,
        "hash": report.hash.hex() if isinstance(report.hash, bytes) else None,
        "records": report.records,
        "checkpointed": report.checkpointed,
        "faults": {name: [translate(one.detail) for one in faults] for name in each_language()},
        "further": further,
        "accepted": [
            {"actor": one.actor, "at": format_instant(one.at), "reason": orjson.loads(one.data)["reason"]}
            for one in report.accepted
        ],
    }

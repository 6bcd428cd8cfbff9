"""Retention: records whose period is over are deleted, kind by kind, in short writes between those of others."""

import os
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from refunds.domain.instants import local_date, zone
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import Message
from refunds.service import ProgressCallback, clock, privacy, silently, upkeep
from refunds.service.store import Store
from refunds.storage import Row
from refunds.storage.mapper import instant
from refunds.storage.retention import KINDS, Kind
from refunds.storage.ticket import held_alone
from refunds.storage.unit_of_work import UnitOfWork

BATCH = 100
"""Records that are deleted in one write, for which other writes wait."""

Gone = Mapping[str, Mapping[str, int]]
"""How many records were deleted, by kind and by the month in which their period began."""


def run(store: Store, *, dry_run: bool = False, progress: ProgressCallback = silently) -> Gone:
    """Delete each record, and empty the details of each contact, whose period is over; a dry run only counts them.

    The periods are those of the default policy as it is now. Records under a customer's hold stay, and so do orders
    with an open refund, an open withdrawal, or an open request that was in time or needs a supervisor. After a real
    run, a note beside the checkpoints says when it was. A run can be interrupted and repeated. Raises `ClockInDoubt`,
    `ConfigurationError` if it runs already, and `StorageUnavailable`, also if another reader of SQLite keeps deleted
    data in its log.
    """
    clock.require_sound(store)
    if dry_run:
        return _run(store, progress, dry_run=True)
    directory = store.checkpoints.file.parent
    lock = os.open(directory / "retention.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with held_alone(lock, Message("flask retention run is running already: let it end")):
        gone = _run(store, progress, dry_run=False)
        store.scrub()
        with store.read(COMMAND_LINE) as uow:
            position = uow.events.head().position
        upkeep.write_note(directory, "retention", position)
    return gone


def _run(store: Store, progress: ProgressCallback, *, dry_run: bool) -> Gone:
    """Delete the records whose period is over, in batches; with `dry_run`, only count them.

    Returns how many records there were, by kind and by the month in which their period began.
    """
    with store.read(COMMAND_LINE) as uow:
        terms, now = uow.default_terms, uow.now
    tz, gone = zone(terms.time_zone), {}
    for kind in KINDS:
        before, months, after = kind.period.over_before(local_date(now, tz), terms), Counter[str](), kind.first
        while True:
            with store.read(COMMAND_LINE) as uow:
                rows = uow.retention.due(kind, before, after, BATCH)
                going = _without_open(uow, kind, rows) if dry_run else []
            if not rows:
                break
            if not dry_run:
                going = store.write_batch(COMMAND_LINE, partial(_delete_due, kind=kind, before=before, rows=rows))
            months.update(f"{local_date(instant(row['since']), tz):%Y-%m}" for row in going)
            progress(kind.name, months.total(), months.total())
            after = rows[-1]["id"]
        gone[kind.name] = dict(sorted(months.items()))
    return gone


def _delete_due(uow: UnitOfWork, kind: Kind, before: datetime, rows: list[Row]) -> list[Row]:
    """Lock the records that are still due; delete and return them, except orders about which a request waits."""
    going = _without_open(uow, kind, uow.retention.lock_due(kind, before, rows))
    if going:
        uow.retention.forget(kind, going)
    return going


def _without_open(uow: UnitOfWork, kind: Kind, rows: list[Row]) -> list[Row]:
    """Return the rows, without orders about which a request waits for an answer other than a refusal."""
    if kind.table != "orders":
        return rows
    waiting = {one.order_id for one in privacy.waiting_about(uow, [row["id"] for row in rows])}
    return [row for row in rows if row["id"] not in waiting]

"""Rotation of the master key: every key that an older master key wraps is wrapped by the first one of the file."""

from collections.abc import Mapping
from typing import NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.service import ProgressCallback, silently
from refunds.service.store import Store
from refunds.storage import PATIENCE, keys
from refunds.storage.mapper import count_rows

BATCH = 200
"""Keys in one write: others wait for it no longer than for a large one of theirs."""


class Rotation(NamedTuple):
    """How many keys of each table a rotation wrapped again, and what is left to do.

    `older` is how many keys still need an older master key, because an instance wrapped them meanwhile; `lost` is how
    many of each table no master key opens. `is_scrubbed`: the files of the service hold no older wrapped key any more.
    """

    rewrapped: Mapping[str, int]
    older: int
    lost: Mapping[str, int]
    is_scrubbed: bool


def rotate(store: Store, progress: ProgressCallback = silently) -> Rotation:
    """Wrap by the first master key every key that an older one wraps, in batches, while instances run.

    It can be interrupted and repeated. The service's own keys come last, with an event, once no other key needs an
    older master key: until then, no instance starts without the older one. Keys that no master key opens are counted
    and stay as they are. If the first master key wraps all, nothing changes and there is no event. Raises
    `StorageUnavailable` if others write for too long: then run it again.
    """
    engine, keyring = store.open()
    rewrapped = {of.table: 0 for of in keys.WRAPPED}
    *of_persons, of_service = keys.WRAPPED
    with store.read(COMMAND_LINE) as uow:
        there = {of.table: count_rows(uow.tx, of.table) for of in of_persons}
    for of in of_persons if len(keyring.masters) > 1 else ():
        done, after, begun = 0, None, False
        while not begun or after is not None:
            progress(of.table, done, there[of.table])
            with store.write(COMMAND_LINE) as uow:
                changed, seen, after = keys.rewrap(uow.tx, keyring.masters, of, after, BATCH)
            rewrapped[of.table] += changed
            done, begun = done + seen, True
        progress(of.table, done, done)
    with store.read(COMMAND_LINE) as uow:
        found = keys.opened_by(uow.tx, keyring.masters, of_persons)
    older = sum(sum(counts[1:-1]) for counts in found.values())
    if not older and len(keyring.masters) > 1:
        with store.write(COMMAND_LINE) as uow:
            every = count_rows(uow.tx, of_service.table)
            rewrapped[of_service.table] = keys.rewrap(uow.tx, keyring.masters, of_service, None, every)[0]
            if any(rewrapped.values()):
                uow.events.note(EventType.AUDIT_KEYS_ROTATED, "keys", rewrapped)
    lost = {table: counts[-1] for table, counts in found.items() if counts[-1]}
    return Rotation(rewrapped, older, lost, engine.scrub(PATIENCE))

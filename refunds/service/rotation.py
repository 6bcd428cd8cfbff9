"""Rotation of the master key: what another key than the first of its file wraps is wrapped by the first."""

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
    """What a rotation has done: how many keys of each table it re-wrapped, and how many there is more to do about.

    `older` need another key than the first still, as an instance wrapped them meanwhile; `lost` none of the file's
    keys opens. `is_scrubbed` says whether nothing that an older key wrapped is left in the files of the service.
    """

    rewrapped: Mapping[str, int]
    older: int
    lost: Mapping[str, int]
    is_scrubbed: bool


def rotate(store: Store, progress: ProgressCallback = silently) -> Rotation:
    """Wrap by the first master key what only another one opens, in batches, while instances go on.

    It resumes by itself, because what the first opens is left as it is. The service's own keys come last, with an event
    in the journal, once no customer needs an older key: if that is destroyed before, no instance starts. With one
    master key, nothing changes. Raises `StorageUnavailable` if others write for too long: then it is to be run again.
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
            uow.events.note(EventType.AUDIT_KEYS_ROTATED, "keys", rewrapped)
    lost = {table: counts[-1] for table, counts in found.items() if counts[-1]}
    return Rotation(rewrapped, older, lost, engine.scrub(PATIENCE))

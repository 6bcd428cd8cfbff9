"""Moving an installation from one database to another: copied as it is, and proven to be the same.

The rows stay as they are sealed, so the master key and the anchors go on to be those of the installation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import audit
from refunds.service.audit import Broken, Report
from refunds.service.books import Books
from refunds.service.work import Work
from refunds.storage import Engine, events, keys
from refunds.storage.anchors import Anchor
from refunds.storage.copies import TABLES, Copy
from refunds.storage.events import Head
from refunds.storage.table import count_rows

Tell = Callable[[str, int, int], None]
"""Told of each step: of which table or what else, how much is done, and how much there is."""

HERE, THERE = "audit of what there is", "audit of the copy"


def copy(books: Books, to: Engine, setting: str, tell: Tell) -> Report:
    """Copy everything to a database in which nothing is, or the rest of what a copy that was broken off has left.

    Nobody serves from the copy before it is finished, and it is finished when it is complete and sound. Where it is
    finished already, it is audited again. Raises `Broken` where either is not sound, and `ConfigurationError` where
    there is nothing to copy, for a database with records of its own, and for records that changed meanwhile.
    """
    anchors = list(books.anchors)  # before the journal is read: it only grows
    with books.read(COMMAND_LINE) as work:
        head = events.head(work.tx)
    if head.position <= 1 and head.position == head.policies_at:  # at most the policy that comes with the service
        raise ConfigurationError(f"REFUNDS_DATABASE: {books.name} has no records: name the database to copy from")
    begun = Copy.begun(to, head, setting)
    counts = {} if begun is None else _copied(books, begun, head, anchors, tell)
    try:
        tell(THERE, 0, 1)
        report = _verified(books, to, counts, anchors)
        tell(THERE, 1, 1)
    except Broken as error:
        if begun is not None:
            begun.give_up()
        raise Broken(f"the copy is not what it should be, and is begun anew by the next attempt: {error}") from None
    if begun is not None:
        with books.read(COMMAND_LINE) as work:
            _require_head(work, books, head)
        begun.finish()
    return report


def _copied(books: Books, begun: Copy, head: Head, anchors: Sequence[Anchor], tell: Tell) -> Mapping[str, int]:
    """Copy, from one state of sound records, whatever is not there yet; how many rows each table has."""
    with books.read(COMMAND_LINE) as work:
        _require_head(work, books, head)
        tell(HERE, 0, 1)
        audit.verify(work, anchors)
        tell(HERE, 1, 1)
        counts = {table: count_rows(work.tx, table) for table in TABLES}
        for table, there in counts.items():
            for done in begun.rest(work.tx, table):
                tell(table, done, there)
    begun.end_journal(head)
    return counts


def _require_head(work: Work, books: Books, head: Head) -> None:
    if events.head(work.tx) != head:
        raise ConfigurationError(
            f"{books.name} has changed while it was copied: stop every instance, and run the command again"
        )


def _verified(books: Books, to: Engine, counts: Mapping[str, int], anchors: Sequence[Anchor]) -> Report:
    """How much was found sound in a copy, whose tables have to have so many rows."""
    with books.read(COMMAND_LINE) as work, to.read() as tx:
        for table, there in counts.items():
            if count_rows(tx, table) != there:
                raise Broken(f"it has {count_rows(tx, table)} rows of {table} instead of {there}")
        return audit.verify(replace(work, tx=tx, keys=keys.open_keyring(tx, work.keys.master)), anchors)

"""Moving an installation from one database to another: copied as it is, and proven to be the same.

The rows stay as they are sealed, so the master key and the anchors go on to be those of the installation.
"""

from collections.abc import Callable
from dataclasses import replace

from refunds.access import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import audit
from refunds.service.audit import Broken, Report
from refunds.service.books import Books
from refunds.storage import Engine, copies, events, keys

Tell = Callable[[str, int, int], None]
"""Told of each step: of which table or what else, how much is done, and how much there is."""

HERE, THERE = "audit of what there is", "audit of the copy"


def copy(books: Books, to: Engine, setting: str, tell: Tell) -> Report:
    """Copy everything to a database in which nothing is, or the rest of what a copy that was broken off has left.

    Nobody serves from the copy before it is finished, and it is finished when it is complete and sound. Raises `Broken`
    where either is not sound, and `ConfigurationError` for a database with records of its own and for records that
    changed meanwhile.
    """
    anchors = list(books.anchors)
    with books.read(COMMAND_LINE) as work:
        copies.begin(work.tx, to, setting)
        tell(HERE, 0, 1)
        audit.verify(work, anchors)
        tell(HERE, 1, 1)
        counts = {table: copies.count(work.tx, table) for table in copies.TABLES}
        for table, there in counts.items():
            for done in copies.rest(work.tx, to, table):
                tell(table, done, there)
        copies.end_journal(work.tx, to)
        head = events.head(work.tx)
        tell(THERE, 0, 1)
        with to.read() as tx:
            for table, there in counts.items():
                if copies.count(tx, table) != there:
                    raise Broken(f"the copy has {copies.count(tx, table)} rows of {table}, and should have {there}")
            copied = replace(work, tx=tx, keys=keys.open_keyring(tx, work.keys.master))
            report = audit.verify(copied, anchors)
        tell(THERE, 1, 1)
    with books.read(COMMAND_LINE) as work:
        if events.head(work.tx) != head:
            raise ConfigurationError(
                f"{books.name} has changed while it was copied: stop every instance, and run the command again"
            )
    copies.finish(to)
    return report

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import click

from refunds.cli import LANG, loaded_store, standalone, write_private
from refunds.domain.instants import end_of_day, first_instant, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import InvalidInput, Message
from refunds.presentation import tables
from refunds.schemas.fields import LocalDate, require_near
from refunds.schemas.strict import schema_of

_FINANCE = replace(COMMAND_LINE, role=Role.BILLING)
"""Whom the tables are for: the privacy role alone reads what a customer restricted."""

_RANGE = schema_of(
    first=LocalDate(validate=require_near, required=True, data_key="from"),
    last=LocalDate(validate=require_near, required=True, data_key="to"),
)


@standalone("export")
@click.argument(
    "kind", metavar="cancellations|contacts|orders", type=click.Choice(["cancellations", "contacts", "orders"])
)
@click.option("--from", "first", required=True, metavar="DATE", help="The first date.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last date.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of standard output.")
@LANG
def command(kind: str, first: str, last: str, output: Path | None) -> None:
    """Write the records of a range of dates as CSV.

    Cancellations by when they were issued, contacts by when they were recorded, orders by when they were registered,
    in this order. The dates are in the time zone of the configured policy; the instants in the file are in UTC. The
    file is complete if it is there: it gets its name at the end. It is entered in the journal before it is written.
    """
    store = loaded_store()
    read = read_range(first, last)
    with store.read(COMMAND_LINE) as uow:
        tz = zone(uow.default_terms.time_zone)
    with store.write(COMMAND_LINE) as uow:
        uow.events.note(EventType.PRIVACY_TABLE_EXPORTED, kind, {"from": first, "to": last})
        dated = getattr(uow, kind).dated
    dates = {f"{dated}_from": first_instant(read["first"], tz), f"{dated}_to": end_of_day(read["last"], tz)}
    lines = (line.encode() for line in tables.lines_by_page(store, _FINANCE, kind, **dates))
    if output is None:
        sys.stdout.buffer.writelines(lines)
        return
    write_private(output, lines)


def read_range(first: str, last: str) -> dict[str, date]:
    """Read two dates into `{"first": ..., "last": ...}`; raise `InvalidInput` if one is no date or they are swapped."""
    read = _RANGE.read({"from": first, "to": last})
    if read["last"] < read["first"]:
        raise InvalidInput.at("/to", Message("must not be before %(since)s", since="from"))
    return read

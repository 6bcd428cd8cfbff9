"""`flask demo`: a few orders for trying out the service."""

from flask import current_app
from rich.table import Table

from refunds.cli import loaded_store, standalone, wide_console
from refunds.domain.permissions import COMMAND_LINE
from refunds.service import demonstration
from refunds.service.store import Opening


@standalone("demo", short_help="Register a few demonstration orders around today.")
def command() -> None:
    """Register a few demonstration orders around today, marked as such, and list them. Not available in production.

    Running it again on the same day changes nothing.
    """
    production = current_app.extensions["refunds.settings"].production
    with loaded_store(Opening.USE).write(COMMAND_LINE) as uow:
        found = demonstration.register(uow, production=production)
    table = Table("order", "service provided", "shows", box=None, pad_edge=False)
    for order_id, provided_on, shows in found:
        table.add_row(order_id, provided_on.isoformat() if provided_on else "not yet", shows)
    wide_console().print(table)

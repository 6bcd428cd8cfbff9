from flask import current_app

from refunds.cli import loaded_store, print_table, standalone
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
    rows = [(order_id, provided.isoformat() if provided else "not yet", shows) for order_id, provided, shows in found]
    print_table(("order", "service provided", "shows"), rows)

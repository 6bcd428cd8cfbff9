"""The WSGI entry: what the server serves and the flask command finds."""

import sys
from typing import NoReturn

from flask import Flask

from refunds.cli import Commands
from refunds.config import load_settings
from refunds.errors import ConfigurationError, RefundsError
from refunds.web import create_app


def serving() -> Flask:
    """The app, ready to serve: with its records opened and its calendars built.

    If they cannot be, prints why and ends the process: that is to fail the start, and not a request.
    """
    try:
        app.extensions["refunds.store"].prepare()
    except RefundsError as error:
        _refuse(error)
    return app


def _refuse(error: RefundsError) -> NoReturn:
    """Print why the service cannot start, and end the process with the exit code of the error."""
    print(f"The service cannot start as it is configured:\n{error}", file=sys.stderr)
    sys.exit(error.exit_code)


try:
    app = create_app(load_settings())
    app.cli = Commands(app.name)
except ConfigurationError as error:
    _refuse(error)

"""The WSGI entry: what the server serves and the flask command finds."""
# ruff: noqa: E402 - no garbage is collected while modules are loaded

import gc
import signal
import sys
from typing import NoReturn

# What a start loads stays until the end: to look through it for garbage takes as long as a command does.
gc.disable()
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until everything is loaded, Ctrl-C ends it without a traceback

from flask import Flask
from flask.cli import ScriptInfo, load_dotenv
from flask.helpers import get_load_dotenv

from refunds.cli import Commands
from refunds.config import load_settings
from refunds.errors import ConfigurationError, RefundsError
from refunds.web import create_app

HELP = """\
Decide whether orders can still be cancelled and refunded, until when and why, and keep the records of it.

Run it in the directory of the service, with the settings of the service; docs/operating.md lists them.
"""


def serving() -> Flask:
    """The app, ready to serve: with its records opened, its calendars built and its data watched.

    If they cannot be, prints why on standard error and ends the process with the exit code of the error: that is to
    fail the start, and not a request.
    """
    from refunds.cli.serve import prepare  # noqa: PLC0415 - other commands do not need the server

    app.extensions["refunds.take_over"]()
    try:
        prepare(app.extensions["refunds.store"])
    except RefundsError as error:
        _refuse(error)
    return app


def main() -> NoReturn:
    """The `refunds` command: the commands of the service under its own name."""
    app.cli.main(obj=ScriptInfo(create_app=lambda: app), prog_name="refunds")


def _refuse(error: RefundsError) -> NoReturn:
    """Print why the service cannot start, and end the process with the exit code of the error."""
    print(f"The service cannot start as it is configured:\n{error}", file=sys.stderr)
    sys.exit(error.exit_code)


if __name__ == "__main__" and get_load_dotenv():
    load_dotenv()  # before the settings are read, as the flask command does

try:
    app = create_app(load_settings())
    app.cli = Commands(app.name, help=HELP)
    gc.freeze()
    gc.enable()
except ConfigurationError as error:
    _refuse(error)

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()

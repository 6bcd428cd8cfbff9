"""`flask serve`: run the service on its real server."""

import click
from flask import current_app
from flask.cli import with_appcontext
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from refunds.cli import Command

THREADS = 32
"""Requests are short, but a slow client holds a thread while its body arrives."""


@click.command("serve", cls=Command)
@with_appcontext
def command() -> None:
    """Serve the API on the loopback interface, until SIGTERM or Ctrl-C.

    Requests under way are finished first.
    """
    port = current_app.extensions["refunds.settings"].port
    click.echo(
        f"The refund and cancellation policy service is at http://127.0.0.1:{port}/\n"
        f"  the API document   http://127.0.0.1:{port}/docs\n"
        f"  no sign-in is needed: it listens on this machine only\n"
        f"  stop it with Ctrl-C"
    )
    Server(
        "app:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.error,
        workers_kill_timeout=30,
    ).serve()

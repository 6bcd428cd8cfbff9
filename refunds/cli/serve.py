"""`flask serve`: run the service on its real server."""

import socket
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server
from granian.server.common import AbstractServer

from refunds.cli import Command
from refunds.errors import ConfigurationError

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
    _require_free(port)
    server("app:app", port).serve()


def server(target: str, port: int, *, factory: bool = False) -> AbstractServer[Any]:
    """The server of a WSGI application, or of what makes one: one worker with threads, on the loopback interface."""
    return Server(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.error,
        workers_kill_timeout=30,
        factory=factory,
    )


def _require_free(port: int) -> None:
    """Refuse a port in use: the server would share it with whoever has it, and answer every other request."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(f"PORT: {port} cannot be listened on: {error.strerror}") from None

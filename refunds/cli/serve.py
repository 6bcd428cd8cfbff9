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

from refunds.access import COMMAND_LINE
from refunds.cli import Command, loaded_books
from refunds.cli.tokens import DAYS
from refunds.errors import ConfigurationError, RefundsError
from refunds.service import clients
from refunds.service.books import Books

THREADS = 32
"""Requests are short, but a slow client holds a thread while its body arrives."""


@click.command("serve", cls=Command)
@with_appcontext
def command() -> None:
    """Serve the API on the loopback interface, until SIGTERM or Ctrl-C.

    Requests under way are finished first.
    """
    settings = current_app.extensions["refunds.settings"]
    _require_free(settings.port)
    books = loaded_books()
    books.prepare()
    click.echo(
        f"The refund and cancellation policy service is at http://127.0.0.1:{settings.port}/\n"
        f"  the API document   http://127.0.0.1:{settings.port}/docs\n"
        f"  the records        {books.name}"
    )
    _show_first_tokens(books, production=settings.production)
    click.echo("  stop it with Ctrl-C")
    books.anchor()
    books.close()  # the process that serves opens them for itself
    try:
        server("app:serving", settings.port, factory=True).serve()
    finally:
        try:
            books.anchor()
        except RefundsError as error:  # the next start will
            click.echo(f"The journal was not anchored: {error}", err=True)
        books.close()


def _show_first_tokens(books: Books, *, production: bool) -> None:
    """How to sign in: on a new installation, with the tokens that are made for it."""
    first = {}
    if not production:
        with books.write(COMMAND_LINE, alone=True) as work:
            first = clients.first_tokens(work, DAYS)
    if first:
        click.echo("  to sign in, send Authorization: Bearer and a token; these are shown this once:")
        for role, token in first.items():
            click.echo(f"    {role:<10} {token}")
    else:
        click.echo("  to sign in, send Authorization: Bearer and a token: flask tokens create --role billing")


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

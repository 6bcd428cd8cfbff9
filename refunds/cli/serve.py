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

from refunds.access import COMMAND_LINE, Role
from refunds.cli import Command, loaded_books
from refunds.cli.tokens import DAYS
from refunds.errors import ConfigurationError, RefundsError
from refunds.service import clients, users
from refunds.service.books import Books
from refunds.service.users import Credentials

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
        f"  the agents' console  http://127.0.0.1:{settings.port}/console/\n"
        f"  the API document     http://127.0.0.1:{settings.port}/docs\n"
        f"  the records          {books.name}"
    )
    _show_how_to_sign_in(books, production=settings.production)
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


def _show_how_to_sign_in(books: Books, *, production: bool) -> None:
    """On a new installation on a developer's machine, with the users and tokens that are made for it."""
    found: list[Credentials] = []
    tokens: dict[Role, str] = {}
    if not production:
        with books.write(COMMAND_LINE, alone=True) as work:
            found, tokens = users.first_users(work), clients.first_tokens(work, DAYS)
    if found:
        click.echo("  to sign in to the console, a user and a password; these are shown this once:")
        for user, password in found:
            click.echo(f"    {user.name:<10} {password}")
        click.echo("    a few demonstration orders to try it with are offered there")
    else:
        click.echo("  to sign in to the console: flask users add NAME --role agent")
    if tokens:
        click.echo("  to call the API, send Authorization: Bearer and a token; these are shown this once:")
        for role, token in tokens.items():
            click.echo(f"    {role:<10} {token}")
    else:
        click.echo("  to call the API, send Authorization: Bearer and a token: flask tokens create --role billing")


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

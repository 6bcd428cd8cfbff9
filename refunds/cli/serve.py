"""`flask serve`: run the service on its real server."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MTServer

from refunds.cli import Command, loaded_store
from refunds.cli.tokens import DAYS
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import ConfigurationError, RefundsError
from refunds.service import clients, users
from refunds.service.store import Store
from refunds.service.users import Credentials

THREADS = 32
"""Requests are short, but a slow client holds a thread while its body arrives."""

STOPPING = (signal.SIGINT, signal.SIGTERM)

PATIENCE = 30
"""Seconds after which a request under way is given up when the service stops."""


@click.command("serve", cls=Command)
@with_appcontext
def command() -> None:
    """Serve the API on the loopback interface, until SIGTERM or Ctrl-C.

    Requests under way are finished first.
    """
    # Before anything starts a thread: one that did not block them would take a signal, and end the process with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    settings = current_app.extensions["refunds.settings"]
    _require_free(settings.port)
    store = loaded_store()
    store.prepare()
    _say(
        f"The refund and cancellation policy service is at http://127.0.0.1:{settings.port}/\n"
        f"  the agents' console  http://127.0.0.1:{settings.port}/console/\n"
        f"  the API document     http://127.0.0.1:{settings.port}/docs\n"
        f"  the records          {store.name}"
    )
    _show_how_to_sign_in(store, production=settings.production)
    _say("  stop it with Ctrl-C")
    store.checkpoint()
    try:
        Server(current_app._get_current_object(), settings.port).run()  # type: ignore[attr-defined] # it is a proxy
    finally:
        try:
            store.checkpoint()
        except RefundsError as error:  # the next start will
            click.echo(f"The journal was not anchored: {error}", err=True)
        store.close()
        _end_unfinished()


def _say(text: str) -> None:
    """Print what nobody needs to have seen: the service starts on a full disk, too, or without a reader."""
    with suppress(OSError):
        click.echo(text)


def _end_unfinished() -> None:
    """End the process where requests were not answered in time: it would wait for their threads for ever."""
    if any(thread.name == "granian-worker" for thread in threading.enumerate()):
        os._exit(0)


def _show_how_to_sign_in(store: Store, *, production: bool) -> None:
    """On a new installation on a developer's machine, with the users and tokens that are made for it."""
    found: list[Credentials] = []
    tokens: dict[Role, str] = {}
    if not production:
        with store.write(COMMAND_LINE, exclusive=True) as uow:
            found, tokens = users.first_users(uow), clients.first_tokens(uow, DAYS)
    if found:
        click.echo("  to sign in to the console, a user and a password; these are shown this once:")
        for user, password in found:
            click.echo(f"    {user.name:<10} {password}")
        click.echo("    a few demonstration orders to try it with are offered there")
    else:
        _say("  to sign in to the console: flask users add NAME --role agent")
    if tokens:
        click.echo("  to call the API, send Authorization: Bearer and a token; these are shown this once:")
        for role, token in tokens.items():
            click.echo(f"    {role:<10} {token}")
    else:
        _say("  to call the API, send Authorization: Bearer and a token: flask tokens create --role billing")


class Server(MTServer):
    """The server of one WSGI application on the loopback interface: one process, in which threads answer requests.

    granian's other server forks a worker and keeps a parent that holds a second copy of the application and does
    nothing. This one is meant for a Python without the interpreter's lock; its worker is the same on any other.
    """

    def __init__(self, application: Callable[..., Any], port: int) -> None:
        super().__init__(
            "refunds",
            address="127.0.0.1",
            port=port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            workers=1,
            blocking_threads=THREADS,
            log_level=LogLevels.error,
            workers_kill_timeout=PATIENCE,
        )
        self.main_loop_interrupt = _Failure()
        self._application = application

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C, and until the requests under way are answered."""
        self.serve(target_loader=lambda: self._application, wrap_loader=False)

    def _serve_loop(self, *_: object) -> None:
        """Take the first signal; make and systemd both send two, and the others wait until the process has ended.

        granian's own handler sets an event, whose lock the interrupted thread may hold: it then waited for ever.
        """
        signal.sigwait(STOPPING)

    def signal_handler_reload(self, *_: object) -> None:
        """Ignore SIGHUP: there is nothing to load again."""

    def _check_gil(self) -> None:
        """Serve with the interpreter's lock, too: it is held while Python code runs, and no longer."""


class _Failure(threading.Event):
    """What granian sets when its worker ends by itself: the service then stops as by a signal, and exits with 1."""

    def set(self) -> None:
        """Stop the service."""
        super().set()
        os.kill(os.getpid(), signal.SIGTERM)


def _require_free(port: int) -> None:
    """Refuse a port in use: the server would share it with whoever has it, and answer every other request."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(f"PORT: {port} cannot be listened on: {error.strerror}") from None

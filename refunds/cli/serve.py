import errno
import os
import signal
import socket
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import sleep

import click
from flask import Flask, current_app

from refunds.cli import loaded_store, progress, server, standalone
from refunds.cli.tokens import DAYS
from refunds.config import Settings
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import ConfigurationError, FileReplaced, RefundsError, StorageUnavailable
from refunds.service import clients, clock, contacts, users
from refunds.service.store import Opening, Store
from refunds.service.users import Credentials
from refunds.service.watch import Watched, watch

WAITS = "Another instance prepares the records for its data: this one waits until that is done, and serves then."


@standalone("serve", short_help="Serve the API and the console.")
def command() -> None:
    """Serve the API and the console until SIGTERM or Ctrl-C, on the loopback interface unless REFUNDS_LISTEN differs.

    First, later ends that newer holiday data give are promised. Requests under way are finished before the end, for 30
    seconds at most. A checkpoint is written at the start and at the end. Outside production, the first start adds a
    user for each role that works at the console and a token for each role: it prints their secrets, and writes the
    tokens to tokens.env beside the master key.
    """
    # Before anything starts a thread: a thread that does not block a signal could receive it and end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, server.STOPPING)
    finish_log = current_app.extensions["refunds.take_over"]()
    settings = current_app.extensions["refunds.settings"]
    _require_free(settings.listen, settings.port)
    store = loaded_store(Opening.USE)
    prepare(store)
    _say(f"{_where(settings)}\n  the records          {store.name}")
    _show_how_to_sign_in(store, settings)
    _say("  stop it with Ctrl-C")
    _warn_of_clock(store)
    clock.checkpoint(store)
    lookout = _Lookout(store)
    lookout.start()
    try:
        served = current_app._get_current_object()  # type: ignore[attr-defined] # it is a proxy
        server.Server(served, settings.listen, settings.port, partial(_drain, served, settings.drain_seconds)).run()
    finally:
        lookout.stop()
        try:
            clock.checkpoint(store)
        except RefundsError as error:  # the next start makes the checkpoint
            _print_last(f"The checkpoint was not written: {error}")
        store.close()
    finish_log()
    # Requests that were not answered in time would keep it, and the server's threads would outlive the interpreter.
    os._exit(lookout.code)


def _where(settings: Settings) -> str:
    """Return a text that says where clients reach the service, and where it listens if that is another address."""
    listens = f"http://{f'[{settings.listen}]' if ':' in settings.listen else settings.listen}:{settings.port}"
    here = settings.public_url or listens
    return (
        f"The refund and cancellation policy service is at {here}/\n"
        f"  the agents' console  {here}/console/\n"
        f"  the API document     {here}/docs"
    ) + (f"\n  its proxy reaches it {listens}/" if here != listens else "")


def _print_last(text: str) -> None:
    """Print a text on standard error, within a second at most, ignoring errors: the output may be stuck at the end."""

    def print_it() -> None:
        with suppress(OSError):
            click.echo(text, err=True)

    printing = threading.Thread(target=print_it, daemon=True)
    printing.start()
    printing.join(1)


def _drain(app: Flask, seconds: int) -> None:
    """Let the service say that it is not ready, and wait some seconds for a load balancer to send no more requests."""
    app.extensions["refunds.stopping"].set()
    sleep(seconds)


def prepare(store: Store) -> None:
    """Build the calendars, number the contacts of an earlier version, and `watch` the holiday data; print what changed.

    Raises `ConfigurationError` if there is no default policy.
    """
    store.prepare()
    with progress() as shown:
        if numbered := contacts.number_all(store, shown):
            _say(f"{numbered} contacts of an earlier version got their request numbers.")
        _print_watched(watch(store, shown, lambda: _say(WAITS)))


def _warn_of_clock(store: Store) -> None:
    """Print a warning if the clock does not fit the journal."""
    if (doubt := clock.doubt(store)) is not None:
        _say(f"Warning: {doubt} Until then /readyz answers 503.")


def _say(text: str) -> None:
    """Print a text that is not essential, ignoring errors: the service also starts if nobody can read it."""
    with suppress(OSError):
        click.echo(text)


def _print_watched(watched: Watched) -> None:
    """Print how many orders got a first promise, if any, and how many windows end later or keep a later end.

    If this instance has older holiday data than the records were counted by, print a warning instead of the windows.
    """
    if watched.filled:
        _say(f"{watched.filled} orders that had no promise have one now.")
    if watched.older:
        _say(
            f"Warning: this instance counts by {watched.now}, and the records by {watched.before}: update it. Promises "
            "are kept, but new orders may be told an earlier end than other instances would."
        )
    elif watched.longer or watched.kept or watched.before not in {None, watched.now}:
        _say(
            f"Windows were counted by {watched.before or 'earlier data'} and are now by {watched.now}: "
            f"{watched.longer} end later, {watched.kept} keep a later end than would be counted now. "
            "See flask calendar changes"
        )


class _Lookout(threading.Thread):
    """A thread that looks every second for the file of the database. If the file is gone, it stops the service.

    The service is then to exit with `code`, which is 0 until then.
    """

    def __init__(self, store: Store) -> None:
        """Prepare the thread, with the log of the current app; `start` starts it."""
        super().__init__(daemon=True)
        self.code = 0
        self._store = store
        self._log = current_app.extensions["refunds.log"]()
        self._over = threading.Event()

    def run(self) -> None:
        """Look every second, until told to end, whether the database's file was removed or replaced.

        If it was, log that, tell this process to stop, and end.
        """
        while not self._over.wait(1):
            try:
                self._store.require_there()
            except FileReplaced as error:
                self.code = error.exit_code
                self._log.error("database", detail=str(error))
                _print_last(str(error))
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except StorageUnavailable:  # the requests say so
                continue

    def stop(self) -> None:
        """Stop looking, once a look under way has ended."""
        self._over.set()
        self.join()


def _show_how_to_sign_in(store: Store, settings: Settings) -> None:
    """Print how to sign in and call the API; outside production, first add users and tokens if there are none.

    The secrets of new users and tokens are printed, too, and the new tokens are kept in a file.
    """
    found: list[Credentials] = []
    tokens: dict[Role, str] = {}
    if not settings.production:
        with store.write(COMMAND_LINE, exclusive=True) as uow:
            found, tokens = users.first_users(uow), clients.first_tokens(uow, DAYS)
    if found:
        click.echo("  to sign in to the console, a user and a password; these are shown only once:")
        for user, password in found:
            click.echo(f"    {user.name:<10} {password}")
        click.echo("    the console offers a few demonstration orders")
    else:
        _say("  to sign in to the console: flask users add NAME --role agent")
    if tokens:
        click.echo("  to call the API, send Authorization: Bearer and a token; these are shown only once:")
        for role, token in tokens.items():
            click.echo(f"    {role:<10} {token}")
        _keep(tokens, settings.master_key_file or Path())
    else:
        _say("  to call the API, send Authorization: Bearer and a token: flask tokens create --role billing")


def _keep(tokens: dict[Role, str], beside: Path) -> None:
    """Write tokens as variables to a private `tokens.env` beside a file, and print where, or why that failed."""
    path = beside.with_name("tokens.env")
    try:
        path.unlink(missing_ok=True)  # that of an earlier database
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.writelines(f"{role.upper()}={token}\n" for role, token in tokens.items())
    except OSError as error:
        click.echo(f"    they could not be written to {path}: {error.strerror}", err=True)
    else:
        click.echo(f"    a shell reads them from {path}:  . {path}")


def _require_free(address: str, port: int) -> None:
    """Raise `ConfigurationError` if nobody can listen on this port of the address, or another process does already."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            setting = "REFUNDS_LISTEN" if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} else "PORT"
            raise ConfigurationError(f"{setting}: cannot listen on {address}, {port}: {error.strerror}") from None

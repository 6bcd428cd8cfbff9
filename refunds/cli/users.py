"""`flask users`: who may sign in to the console."""

import click
from flask.cli import with_appcontext
from rich.table import Table

from refunds.cli import ROLE, Command, loaded_store, wide_console
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users


@click.group("users")
def command() -> None:
    """Add, list, disable and reset the users of the console."""


@command.command("add", cls=Command)
@click.argument("name")
@ROLE
@with_appcontext
def add(name: str, role: str) -> None:
    """Add a user, whose NAME must be free, and print the password. It is shown only this once."""
    with loaded_store().write(COMMAND_LINE) as uow:
        made = users.add(uow, name, Role(role))
    click.echo(made.password)


@command.command("list", cls=Command)
@with_appcontext
def list_() -> None:
    """List the users, also those disabled."""
    table = Table("user", "role", "user id", "added", "state", box=None, pad_edge=False)
    with loaded_store().read(COMMAND_LINE) as uow:
        for user in uow.users.iter_all():
            state = "disabled" if user.disabled_at else "active"
            table.add_row(user.name or "", user.role, user.user_id, user.registered_at.date().isoformat(), state)
    wide_console().print(table)


@command.command("disable", cls=Command)
@click.argument("name")
@with_appcontext
def disable(name: str) -> None:
    """Disable a user: all their sessions end at once, and they cannot sign in until they are reset."""
    with loaded_store().write(COMMAND_LINE) as uow:
        user = users.disable(uow, name)
    click.echo(f"{user.name} is disabled: flask users reset {user.name} enables them again.")


@command.command("reset", cls=Command)
@click.argument("name")
@with_appcontext
def reset(name: str) -> None:
    """Give a user a new password and print it. All their sessions end at once; a disabled user can sign in again.

    It is shown only this once. Failed attempts to sign in are forgotten.
    """
    with loaded_store().write(COMMAND_LINE) as uow:
        made = users.reset(uow, name)
    click.echo(made.password)

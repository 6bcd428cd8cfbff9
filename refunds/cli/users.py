import click

from refunds.cli import ROLE, Group, loaded_store, print_table, reading, vendors_date, writing
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users


@click.group("users", cls=Group)
def command() -> None:
    """Add, list, disable, forget and reset the users of the console."""


@command.command("add")
@click.argument("name")
@ROLE
def add(name: str, role: Role) -> None:
    """Add a user and print the password. It is shown only this once.

    NAME must be free: a disabled user keeps theirs.
    """
    with writing() as uow:
        made = users.add(uow, name, role)
    click.echo(made.password)


@command.command("list")
def list_() -> None:
    """List the users.

    Those who are disabled are listed, too.
    """
    rows = []
    with reading() as uow:
        for user in uow.users.iter_all():
            state = "disabled" if user.disabled_at else "active"
            rows.append((user.name or "", user.role, user.user_id, vendors_date(uow, user.registered_at), state))
    print_table(("user", "role", "user id", "added", "state"), rows)


@command.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Disable a user. They cannot sign in, and every session of theirs ends with the next request.

    Resetting the user enables them again. Disabling them again changes nothing.
    """
    with writing() as uow:
        user = users.disable(uow, name)
    click.echo(f"{user.name} is disabled: flask users reset {user.name} enables them again.")


@command.command("forget")
@click.argument("name")
def forget(name: str) -> None:
    """Take a user's name and password out of the records. What they did keeps their id.

    They cannot sign in, every session of theirs ends, and nothing enables them again. The name is free for another.
    """
    store = loaded_store()
    with store.write(COMMAND_LINE) as uow:
        user = users.forget(uow, name)
    store.scrub()
    click.echo(f"{user.user_id} has no name any more.")


@command.command("reset")
@click.argument("name")
def reset(name: str) -> None:
    """Give a user a new password and print it. Every session of theirs ends; a disabled user can sign in again.

    The password is shown only this once. Failed attempts to sign in are forgotten.
    """
    with writing() as uow:
        made = users.reset(uow, name)
    click.echo(made.password)

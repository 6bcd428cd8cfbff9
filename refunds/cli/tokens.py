import click

from refunds.cli import ROLE, Group, loaded_store, print_table, reading, vendors_date, writing
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import clients

DAYS = 365


@click.group("tokens", cls=Group)
def command() -> None:
    """Create, list and revoke tokens of clients, forget clients."""


@command.command("create")
@ROLE
@click.option("--client", help="Its name, which tells its tokens apart from others'. Default: the role.")
@click.option("--days", type=click.IntRange(1, 3650), default=DAYS, show_default=True, help="How long it is valid.")
def create(role: Role, client: str | None, days: int) -> None:
    """Create a token and print it. It is shown only this once.

    A client can have two active tokens at a time, to change from one to the next. All its tokens have the same role.
    """
    with writing() as uow:
        token = clients.create_token(uow, role, role if client is None else client, days)
    click.echo(token)


@command.command("list")
def list_() -> None:
    """List the tokens, also those revoked or expired, without their secrets."""
    with reading() as uow:
        rows = []
        for client, token in uow.tokens.with_clients():
            state = "revoked" if token.revoked_at else "expired" if token.expires_at <= uow.now else "active"
            expires = vendors_date(uow, token.expires_at)
            rows.append((token.token_id, client.name, client.role, client.client_id, expires, state))
    print_table(("token", "client", "role", "client id", "expires", "state"), rows)


@command.command("revoke")
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """Revoke the token with this id: requests with it are refused from now on."""
    with writing() as uow:
        clients.revoke_token(uow, token_id)
    click.echo(f"{token_id} is revoked.")


@command.command("forget")
@click.argument("client")
def forget(client: str) -> None:
    """Take a client's name out of the records, and revoke its tokens. What it did keeps its id."""
    store = loaded_store()
    with store.write(COMMAND_LINE) as uow:
        gone = clients.forget(uow, client)
    store.scrub()
    click.echo(f"{gone.client_id} has no name any more.")

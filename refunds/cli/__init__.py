"""The flask commands: the service at the command line, through the same use cases as the web.

An error ends a command with the exit code of its class (see `refunds.errors`); click's own usage errors end with 2.
"""

import sys
from io import TextIOWrapper
from typing import Any

import click
from flask import current_app

from refunds.errors import RefundsError
from refunds.service.books import Books
from refunds.service.policies import Policies


class Command(click.Command):
    """A command that tells an error in words, and ends with its exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a character shows a `?`
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except OSError as error:
            click.echo(f"{error.filename or 'output'}: {error.strerror}", err=True)
            sys.exit(RefundsError.exit_code)
        except RefundsError as error:
            for flaw in error.flaws:
                click.echo(f"{flaw.pointer.strip('/') or 'input'}: {flaw.detail}", err=True)
            if not error.flaws:
                click.echo(str(error), err=True)
            sys.exit(error.exit_code)


def loaded_policies() -> Policies:
    """The policies of this app."""
    found: Policies = current_app.extensions["refunds.policies"]
    return found


def loaded_books() -> Books:
    """The books of this app, opened; tells if a master key was made for them."""
    found: Books = current_app.extensions["refunds.books"]
    click.get_current_context().call_on_close(found.close)
    found.open()
    if found.created_key:
        path = current_app.extensions["refunds.settings"].master_key_file
        click.echo(f"Made a master key for development: {path}. Without it the records cannot be read.", err=True)
    return found

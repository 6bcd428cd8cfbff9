"""The flask commands: the service on the command line. They call the same use cases as the web.

An error ends a command with the exit code of its class (see `refunds.errors`); click's own usage errors end with 2.
A command and its output libraries are imported when it is called, because `rich` alone takes a tenth of a second.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from errno import EEXIST
from functools import cache
from importlib import import_module
from io import StringIO, TextIOWrapper
from os.path import realpath
from pathlib import Path
from pkgutil import iter_modules
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from refunds.domain.instants import format_instant, format_local, local_date, zone
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import Message, RefundsError
from refunds.presentation.language import LANGUAGES, speaking, translate
from refunds.service import ProgressCallback, upkeep
from refunds.service.store import Opening, Store
from refunds.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from rich.console import Console

LANG = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="The language.",
    expose_value=False,
    callback=lambda context, _, name: context.with_resource(speaking(name)),
)


class OneOf(click.Choice[Any]):
    """The members of an enumeration, each written as its value; the command gets the member."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """Return what stands for a choice on the command line: the value of a member, or a text as it is."""
        return str(choice)


ROLE = click.option("--role", required=True, type=OneOf(Role), help="What it may do.")
LEDGER_LOST = click.option(
    "--ledger-lost",
    metavar="REASON",
    help="Why there is no ledger of erasures, in one line without personal data. It is entered in the journal.",
)
POLICY = click.option("--policy", help="The policy. Default: the configured one.")


class Commands(AppGroup):
    """The commands of the service. Each is a module of this package."""

    NAMES = tuple(module.name for module in iter_modules(__path__) if module.name not in {"front", "server"})

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands of the service, in alphabetical order."""
        return list(self.NAMES)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import the command with this name, and return it; None if there is none."""
        if name not in self.NAMES:
            return None
        command: click.Command = import_module(f"{__name__}.{name}").command
        return command


class Command(click.Command):
    """A command that prints its errors on standard error, in words, and ends with their exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; print a `RefundsError` and exit with its code, or an `OSError` and exit with 1.

        An error of standard output is one, too, at the latest when the command ends.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a character that the terminal cannot show becomes `?`
                stream.reconfigure(errors="replace")
        if "lang" not in (parameter.name for parameter in self.params):
            context.with_resource(speaking(LANGUAGES[0]))
        try:
            result = super().invoke(context)
            click.echo(nl=False)  # writes what is buffered
        except BrokenPipeError:  # nobody reads on, as before `| head`: click ends the process quietly
            raise
        except OSError as error:
            click.echo(f"{error.filename or 'output'}: {error.strerror or error}", err=True)
            if not error.filename:
                sys.stdout = StringIO()  # else Python writes again at its end, and exits with 120
            sys.exit(RefundsError.exit_code)
        except RefundsError as error:
            for field_error in error.errors:
                place = field_error.pointer.strip("/") or "input"
                click.echo(f"{place}: {translate(field_error.detail)}", err=True)
            if not error.errors:
                click.echo(translate(error.detail if str(error) == error.detail else str(error)), err=True)
            sys.exit(error.exit_code)
        return result


class Group(AppGroup):
    """Commands under one name, each with the app at hand."""

    command_class = Command


def standalone(name: str, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator, with the options of `click.command`, that makes a `Command` in no group, run with the app."""
    return lambda function: click.command(name, cls=Command, **options)(with_appcontext(function))


class CommandsAndOne(Group):
    """A group that runs its command `unnamed` if the arguments name none: it was once the only command."""

    def __init__(self, *given: Any, unnamed: str, **options: Any) -> None:
        super().__init__(*given, **options)
        self._unnamed = unnamed

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, as those of `unnamed` if they begin neither with a command's name nor with --help."""
        named = args[0] in {*self.commands, *self.get_help_option_names(context)} if args else self.no_args_is_help
        return super().parse_args(context, args if named else [self._unnamed, *args])


def loaded_store(to: Opening = Opening.RECORD) -> Store:
    """Open the store until the command ends, and return it; print if that made a master key.

    Raises `ConfigurationError` as `Store.open` does.
    """
    found: Store = current_app.extensions["refunds.store"]
    click.get_current_context().call_on_close(found.close)
    found.open(to)
    if found.created_key:
        path = current_app.extensions["refunds.settings"].master_key_file
        made = Message("Made a master key for development: %(path)s. Without it the records cannot be read.", path=path)
        click.echo(translate(made), err=True)
    return found


def reading() -> AbstractContextManager[UnitOfWork]:
    """Open the store to read; the block gets a unit of work of the command line that writes nothing."""
    return loaded_store(Opening.READ).read(COMMAND_LINE)


def writing() -> AbstractContextManager[UnitOfWork]:
    """Open the store to write; the block gets a unit of work of the command line, stored when the block ends."""
    return loaded_store().write(COMMAND_LINE)


@contextmanager
def new_file(output: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Give the block a file to write: it replaces `output` after the block, or is removed if the block raised.

    A link stays: what it leads to is replaced. Raises `OSError` for what is no regular file.
    """
    final = Path(realpath(output))
    part = final.with_name(f"{final.name}.{token_hex(4)}.part")  # two processes must not share one
    if output.exists() and not output.is_file():  # root would replace a device, such as /dev/stdout
        raise OSError(EEXIST, "is not a regular file: name a new one", str(output))
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        part.replace(final)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(output)
        raise


def write_private(output: Path, parts: Iterable[bytes]) -> None:
    """Write a file with personal data, which only its owner may read; it replaces `output` when it is complete."""
    with new_file(output, 0o600) as written:
        written.writelines(parts)


def local_text(at: datetime, time_zone: str) -> str:
    """Return an instant in RFC 3339 with the offset of a time zone, cut to the second."""
    return format_local(at.replace(microsecond=0), zone(time_zone))


def vendors_date(uow: UnitOfWork, at: datetime) -> str:
    """Return the date of an instant in the vendor's time zone, that of the default policy, as in 2026-04-08."""
    return local_date(at, zone(uow.default_terms.time_zone)).isoformat()


def since_text(at: datetime | None) -> str:
    """Return an instant as text in UTC; "the beginning" for None."""
    return "the beginning" if at is None else format_instant(at)


LOST_OF_PRIVACY = (
    "The privacy officer must enter the restrictions, objections, holds, corrections, disclosures and data requests of "
    "that time again. Who was restricted then is shown to everybody until they do."
)
"""What becomes of the privacy role's work when an older database is brought back; only erasures are made again."""


def warn_of_erasures(since: datetime | None) -> None:
    """Print a warning that erasures since an instant, or all for None, may be undone and have to be repeated."""
    click.echo(f"Erasures from {since_text(since)} on may have been undone: erase these customers again.")


def note_done(store: Store, done: str, position: int) -> None:
    """Note beside the checkpoints that a `backup` or `verify` of `position` events is done; if it fails, print why."""
    try:
        upkeep.write_note(store.checkpoints.file.parent, done, position)
    except OSError as error:
        place = store.checkpoints.file.parent
        click.echo(f"That this was done could not be noted in {place}: {error.strerror}", err=True)


def wide_console() -> "Console":
    """Return the console for tables; it is very wide if the output is not a terminal, so that no line is broken."""
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 1000)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows of plain text under their headings, as wide as they are if the output is no terminal."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    wide_console().print(table)


def print_json(data: Any) -> None:
    """Print plain data as JSON on standard output, for programs."""
    click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2))


@contextmanager
def progress(*, passing: bool = True) -> Iterator[ProgressCallback]:
    """Give the block a callback that shows a bar on standard error for each step that is reported.

    If `passing`, bars are shown only on a terminal, and removed at the end of the block; otherwise always, and kept.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=passing, disable=passing and not console.is_terminal) as shown:
        steps = cache(shown.add_task)
        yield lambda step, done, there: shown.update(steps(step), completed=done, total=there)

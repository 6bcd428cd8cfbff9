"""Prints the reference of the commands, `docs/commands.md`, from their help: `python -m tools.commands`."""

import sys
from inspect import cleandoc

import click

from refunds.cli import Commands

TOP = """\
# The commands

Everything that the service can do at the command line. `flask` and `refunds` in `.venv/bin` have the same commands; run
them in the directory of the service, with its [settings](operating.md#settings). What they end with is in
[Operating](operating.md#exit-codes-of-the-commands).

This page is made by `make openapi` from what `--help` prints.
"""


def reference():
    """The page: every command with its options."""
    commands = Commands("flask")
    return "\n".join([TOP, *sections(commands, click.Context(commands, info_name="flask"))])


def sections(group, above):
    """The section of each command of a group, followed by those of its own commands, in the order of their names."""
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        context = click.Context(command, above, info_name=name)
        yield section(command, context)
        if isinstance(command, click.Group):
            yield from sections(command, context)


def section(command, context):
    """The heading, usage, help and options of a command, as Markdown."""
    level = "#" * len(context.command_path.split())
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    listed = [f"* `{names}`: {' '.join(meaning.split())}" for names, meaning in options]
    paragraphs = [f"{level} {context.command_path}", f"`{usage}`", cleandoc(command.help), "\n".join(listed)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

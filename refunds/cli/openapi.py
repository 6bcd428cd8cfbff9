from pathlib import Path

import click
from flask import current_app

from refunds.cli import new_file, standalone


@standalone("openapi")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of standard output.")
def command(output: Path | None) -> None:
    """Print the API document as YAML, or replace a file."""
    text = current_app.extensions["refunds.contract"].text
    if output:
        with new_file(output) as file:
            file.write(text.encode())
    else:
        click.echo(text, nl=False)

import sys
from textwrap import indent

import click
from flask import current_app

from refunds.cli import LANG, standalone
from refunds.errors import Message
from refunds.presentation.language import translate
from refunds.service.doctor import examine
from refunds.service.examination import Level, Patient

FAILED = 25  # the exit code if a check has failed

_WORDS = {Level.OK: Message("ok"), Level.WARNING: Message("warning"), Level.FAILED: Message("failed")}
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


@standalone("doctor", short_help="Examine the installation, and say what to do.")
@LANG
def command() -> None:
    """Examine the installation: a line for each finding, with what to do about it.

    It only reads, also while the service runs. Run it as the user of the service, with its settings. Exits with 25 if a
    check has failed, and with 0 otherwise, also after warnings.
    """
    store = current_app.extensions["refunds.store"]
    patient = Patient(current_app.extensions["refunds.settings"], store)
    click.get_current_context().call_on_close(patient.close)
    failed = 0
    for check, finding in examine(patient):
        failed += finding.level is Level.FAILED
        word = click.style(f"{translate(_WORDS[finding.level]):<8}", fg=_COLOURS[finding.level])
        text = indent(translate(finding.text), " " * 25).lstrip()
        click.echo(f"{word} {check:<15} {text}")
        if finding.fix:
            click.echo(f"{'':<24} → {translate(finding.fix)}")
    if failed:
        sys.exit(FAILED)

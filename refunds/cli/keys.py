import sys
from collections.abc import Iterator

import click

from refunds.cli import LANG, Group, loaded_store, progress
from refunds.presentation.language import translate
from refunds.service.rotation import Rotation, rotate


@click.group("keys", cls=Group)
def command() -> None:
    """Change the master key."""


@command.command("rotate")
@LANG
def rotate_() -> None:
    """Wrap by the first master key what the other master keys wrap.

    First add a new key in the last line of the file of every instance, and restart them one by one; then put it in the
    first line, and restart them again. Then run this, while they go on; if it is interrupted, run it again. At the end
    it says whether the older keys may be needed, and then exits with 1: if not, delete their lines, restart the
    instances, run flask doctor, and destroy these keys.
    """
    store = loaded_store()
    masters = store.open()[1].masters
    with progress() as tell:
        done = rotate(store, tell)
    if len(masters) == 1:
        click.echo(
            translate(
                "The file has one key. Add a new one in a line after it, and restart every instance. Then put the new "
                "one first, restart every instance, and run this again."
            )
        )
    for line in _told(done, len(masters)):
        click.echo(line)
    sys.exit(bool(done.older or done.lost or not done.is_scrubbed))


def _told(done: Rotation, masters: int) -> Iterator[str]:
    """Yield sentences on what a rotation has done and what is left to do; `masters` is the number of master keys."""
    which = ", ".join(f"{table} {number}" for table, number in done.rewrapped.items())
    yield translate("Wrapped anew by the first key: %(which)s.", which=which)
    if done.lost:
        lost = ", ".join(f"{table} {number}" for table, number in done.lost.items())
        yield translate(
            "No key in the file opens these: %(lost)s. Bring back the key that is missing, as a further line: "
            "without it they are lost.",
            lost=lost,
        )
    if done.older:
        yield translate(
            "%(number)s need an older key still: an instance wraps by it. Restart every instance with the new key "
            "in the first line, and run this again.",
            number=done.older,
        )
    if not done.is_scrubbed:
        yield translate(
            "What the older keys wrapped may still be in the files of the database, because it is being read: run "
            "this again."
        )
    if masters > 1 and not (done.older or done.lost) and done.is_scrubbed:
        yield (
            translate(
                "The older keys are needed no more: delete their lines, restart every instance, run flask doctor, and "
                "destroy them. From then on nobody can open what was copied before."
            )
            if any(done.rewrapped.values())
            else translate(
                "Only the first key is needed. If another one is new, put it first once every instance was restarted "
                "with it. If it is an older one, delete its line, restart every instance, run flask doctor, and "
                "destroy it."
            )
        )

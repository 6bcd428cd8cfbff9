import click

from refunds.cli import Group, loaded_store, print_json, progress
from refunds.service import retention
from refunds.service.store import Opening


@click.group("retention", cls=Group)
def command() -> None:
    """Let go of what is no longer needed."""


@command.command("run", short_help="Let go of everything whose period is over.")
@click.option("--dry-run", is_flag=True, help="Only count what would go; change nothing.")
def run(*, dry_run: bool) -> None:
    """Let go of everything whose period is over by the default policy, and print how many records of each kind went.

    They are counted by the month in which their period began. Run it every day, just after midnight in the policy's
    time zone. It can be interrupted and repeated, and the service may run meanwhile.
    """
    store = loaded_store(Opening.READ if dry_run else Opening.RECORD)
    with progress() as shown:
        gone = retention.run(store, dry_run=dry_run, progress=shown)
    print_json({"dry_run": dry_run, "gone": gone})

"""The rows of the vendor's policies in `docs/privacy.md`: each command shows what the page says."""

import importlib
import os
import re
import shlex
from unittest import mock

import pytest

import app
from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Intent
from refunds.service import contacts, orders
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests import records_in
from tests.conftest import ROOT

PAGE = (
    (ROOT / "docs/privacy.md").read_text().partition("## What the vendor's policies promise")[2].partition("\n## ")[0]
)
ROW = re.compile(
    r"^\| (?P<promise>[^|]+) \| (?P<how>[^|]+) \| (?:`flask (?P<command>[^`]+)`)? ?\| ?(?P<shows>[^|]*)\|$",
    re.MULTILINE,
)
ROWS = [row for row in ROW.finditer(PAGE) if row["promise"] not in {"what the policy says", "---"}]


@pytest.fixture(scope="module")
def flask(tmp_path_factory):
    """Run a command in an installation with an order of `K-1`, and a call about it."""
    place = tmp_path_factory.mktemp("promises")
    (place / "unknown-field.csv").write_text(
        "order_id,customer_ref,service_provided_at,region,age\nA-2,K-2,,DE-BY,12\n"
    )
    with mock.patch.dict(os.environ, records_in(place, "sqlite")), pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        running = importlib.reload(app).app
        running.test_cli_runner().invoke(args=["init"])
        store = running.extensions["refunds.store"]
        with store.write(COMMAND_LINE) as uow:
            orders.register(
                uow, OrderFacts(order_id="A-1", customer_ref="K-1", service_provided_at=uow.now, region="DE-BY")
            )
            call = NewContact(channel=Channel.PHONE, intent=Intent.QUESTION, from_detail="+49891234567")
            contacts.record(uow, "A-1", call)
        store.checkpoint()

        def run(command):
            result = running.test_cli_runner().invoke(args=shlex.split(command))
            files = " ".join(sorted(one.name for one in place.iterdir()))
            return f"{result.stdout}\n{result.stderr}\n{files}"

        yield run
    importlib.reload(app)


def test_every_row_of_the_policies_is_on_the_page():
    assert len(ROWS) == PAGE.count("\n| ") - 2
    assert sum(row["command"] is None for row in ROWS) == 3


def test_each_command_shows_what_the_page_says(flask):
    """In the order of the page: some rows show what those before them have left."""
    wrong = {}
    for row in ROWS:
        if row["command"]:
            printed, shows = flask(row["command"]), row["shows"].strip()
            unwanted = shows.removeprefix("not: ")
            if (unwanted in printed) != (unwanted == shows):
                wrong[row["promise"]] = printed
    assert not wrong

"""`flask export`: the records of a range of dates, as tables that a spreadsheet opens safely."""

import csv
import importlib
import os
import stat
from datetime import datetime
from io import StringIO
from unittest import mock

import orjson
import pytest
import time_machine

import app
from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import LimitKind
from refunds.presentation import tables
from refunds.service import cancellations, contacts, orders, privacy
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests import records_in

PROVIDED = datetime.fromisoformat("2026-04-02T14:20:00Z")
# The last instant of 7 April and the first of 8 April in Berlin, and the end of that day.
ENTERED = ("2026-04-07T21:59:59Z", "2026-04-07T22:00:00Z", "2026-04-08T21:59:59Z", "2026-04-08T22:00:00Z")


@pytest.fixture(scope="module", autouse=True)
def entry(engine, tmp_path_factory):
    """The app of the flask command, configured for each engine, with a cancellation from each of these instants."""
    with mock.patch.dict(os.environ, records_in(tmp_path_factory.mktemp("exports"), engine)):
        store = importlib.reload(app).app.extensions["refunds.store"]
        with time_machine.travel(ENTERED[0], tick=False) as clock:
            for number, at in enumerate(ENTERED):
                clock.move_to(at)
                with store.write(COMMAND_LINE) as uow:
                    facts = OrderFacts(
                        order_id=f"A-{number}",
                        customer_ref=f"=K-{number}",
                        service_provided_at=PROVIDED,
                        region="DE-BY",
                    )
                    orders.register(uow, facts)
                    call = NewContact(channel=Channel.PHONE, from_detail="+4989123456", note="-1")
                    if number < 3:
                        cancellations.issue(uow, order=f"A-{number}", contact=call)
                    else:
                        contacts.record(uow, f"A-{number}", call)
        yield
    importlib.reload(app)


def run(*arguments):
    """The table, the error output and the exit code of an export."""
    result = app.app.test_cli_runner().invoke(args=["export", *arguments])
    errors = [line for line in result.stderr.splitlines() if not line.startswith("Made a master key")]
    return list(csv.DictReader(StringIO(result.stdout, newline=""))), errors, result.exit_code


@pytest.mark.parametrize("kind", ["orders", "contacts", "cancellations"])
def test_a_range_has_its_first_and_its_last_day_as_the_vendors_clocks_show_them(kind):
    def found(first, last):
        return [row["order_id"] for row in run(kind, "--from", first, "--to", last)[0]]

    assert found("2026-04-08", "2026-04-08") == ["A-1", "A-2"]
    assert found("2026-04-07", "2026-04-08") == ["A-0", "A-1", "A-2"]
    assert found("2026-04-09", "2026-12-31") == ([] if kind == "cancellations" else ["A-3"])
    assert found("1970-01-01", "2199-12-31")[:3] == ["A-0", "A-1", "A-2"]


def test_more_records_than_a_page_are_exported_once_each(monkeypatch):
    for size in (1, 2, 3, 4, 5):
        monkeypatch.setattr(tables, "PAGE", size)
        rows, _, code = run("orders", "--from", "2026-04-01", "--to", "2026-04-30")
        assert ([row["order_id"] for row in rows], code) == (["A-0", "A-1", "A-2", "A-3"], 0)


def test_a_cancellation_has_what_finance_needs():
    rows, _, _ = run("cancellations", "--from", "2026-04-08", "--to", "2026-04-08")
    row = rows[0]
    assert len(row["reference"]) == len("314-092-6534")
    shown = {name: row[name] for name in ("customer_ref", "state", "basis", "reason", "issued_at", "refund_due_by")}
    assert shown == {
        "customer_ref": "'=K-1",
        "state": "issued",
        "basis": "policy",
        "reason": "within_window",
        "issued_at": "2026-04-07T22:00:00Z",
        "refund_due_by": "2026-04-22",
    }
    assert [row[name] for name in ("settled_at", "billing_ref", "revoked_at", "revocation_reason_code")] == [""] * 4


def test_no_cell_is_a_formula():
    for kind in ("orders", "contacts", "cancellations"):
        rows, _, _ = run(kind, "--from", "2026-04-01", "--to", "2026-04-30")
        assert rows
        assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    (row, *_), _, _ = run("contacts", "--from", "2026-04-01", "--to", "2026-04-30")
    assert (row["from_detail"], row["note"]) == ("'+4989123456", "'-1")


def test_an_export_can_be_written_to_a_file_that_its_owner_alone_may_read(tmp_path):
    file = tmp_path / "april.csv"
    result = run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", str(file))
    assert result == ([], [], 0)
    assert [row["order_id"] for row in csv.DictReader(StringIO(file.read_text()))] == ["A-0", "A-1", "A-2", "A-3"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    """A device would be lost, such as /dev/stdout for root."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    _, err, code = run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", str(pipe))
    assert (err, code) == ([f"{pipe}: is not a regular file: name a new one"], 1)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_pipe_of_the_shell_is_called_no_regular_file_too():
    """As in `flask export orders --output /dev/stdout | head`: this is a link, whose text names no file."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w"):
        _, err, code = run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", f"/dev/fd/{writing}")
    assert (err, code) == ([f"/dev/fd/{writing}: is not a regular file: name a new one"], 1)


def test_a_link_that_leads_to_itself_is_replaced(tmp_path):
    (link := tmp_path / "april.csv").symlink_to("april.csv")
    assert run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", str(link)) == ([], [], 0)
    assert "A-0" in link.read_text()


def test_a_link_stays_a_link_to_what_is_written(tmp_path):
    file, link = tmp_path / "april.csv", tmp_path / "newest.csv"
    file.write_text("old")
    link.symlink_to(file)
    assert run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", str(link)) == ([], [], 0)
    assert link.is_symlink()
    assert "A-0" in file.read_text()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "nowhere" / "april.csv"
    _, err, code = run("orders", "--from", "2026-04-01", "--to", "2026-04-30", "--output", str(file))
    assert (err, code) == ([f"{file}: No such file or directory"], 1)


@pytest.mark.parametrize(
    ("first", "last", "error"),
    [
        ("2026-04-08", "2026-04-07", "to: must not be before from"),
        ("2026-04-31", "2026-05-01", "from: no such date: check the day and the month"),
        ("2026-04-01", "9999-12-31", "to: must lie in the years 1970 to 2199"),
        ("2026-04-01T00:00:00Z", "2026-04-02", "from: not a date: write it as 2026-12-24"),
    ],
)
def test_a_wrong_range_is_refused(first, last, error):
    assert run("orders", "--from", first, "--to", last) == ([], [error], 3)


def test_other_records_are_not_exported():
    assert run("users", "--from", "2026-04-01", "--to", "2026-04-30")[2] == 2


def test_the_journal_says_which_table_was_taken_out():
    assert run("contacts", "--from", "2026-04-08", "--to", "2026-04-09")[2] == 0
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        last = uow.events.last_of(EventType.PRIVACY_TABLE_EXPORTED)
    assert (last.subject, orjson.loads(last.data)) == ("contacts", {"from": "2026-04-08", "to": "2026-04-09"})
    assert run("contacts", "--from", "2026-04-09", "--to", "2026-04-08")[2] == 3
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        assert uow.events.last_of(EventType.PRIVACY_TABLE_EXPORTED) == last


@pytest.mark.parametrize("kind", ["orders", "contacts", "cancellations"])
def test_what_a_customer_restricted_is_not_handed_to_finance(kind):
    store = app.app.extensions["refunds.store"]
    given = (kind, "--from", "2026-04-07", "--to", "2026-04-07")
    with store.write(COMMAND_LINE) as uow:
        customer_id = uow.orders.get("A-0").customer_id
        privacy.limit(uow, customer_id, LimitKind.RESTRICTION, "a dispute")
    restricted = run(*given)[0]
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind.RESTRICTION)
    (row,), (free,) = restricted, run(*given)[0]
    hidden = {name for name, value in row.items() if value == "[restricted]"}
    assert hidden == {name for name in ("customer_ref", "from_detail", "note") if name in row}
    assert {name: value for name, value in row.items() if name not in hidden} == {
        name: value for name, value in free.items() if name not in hidden
    }

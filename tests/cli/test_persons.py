"""`flask privacy export`, `find` and `empty`: what is stored about a person, who need not be a customer."""

import json

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import DataRequestChannel, DataRequestKind
from refunds.service import data_requests
from tests.cli.test_privacy import app, flask  # noqa: F401 - a fixture

CALLER = "+49 89 123456"


def requested(app, check="called back"):  # noqa: F811
    """The id of a data request of the customer."""
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        return data_requests.open_request(
            uow, DataRequestKind.ACCESS, "K-1", DataRequestChannel.EMAIL, identity_check=check
        ).request_id


@pytest.mark.parametrize("whose", ["a request", "--customer-ref", "--customer-id"])
def test_an_export_is_a_file_that_only_its_owner_reads(app, tmp_path, whose):  # noqa: F811
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        customer_id = uow.customers.find("K-1")
    given = {
        "a request": lambda: [requested(app)],
        "--customer-ref": lambda: [whose, "K-1"],
        "--customer-id": lambda: [whose, customer_id],
    }[whose]()
    file = tmp_path / "export"
    file.write_text("an older one")
    file.chmod(0o644)
    assert flask(app, "export", *given, "--output", str(file)) == ("", "", 0)
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text())
    assert (found["customer_id"], found["orders"][0]["contacts"][0]["note"]) == (customer_id, "Frau Muster")
    assert flask(app, "export", *given, "--output", str(file), "--html", "--lang", "de") == ("", "", 0)
    assert "Ihre Rechte" in file.read_text()
    assert sorted(one.name for one in tmp_path.glob("export*")) == ["export"]


def test_an_export_that_cannot_be_writes_no_file(app, tmp_path):  # noqa: F811
    file = str(tmp_path / "export")
    _, err, code = flask(app, "export", requested(app, None), "--output", file)
    assert (code, "no identity check" in err) == (3, True)
    assert flask(app, "export", "--customer-ref", "K-9", "--output", file)[0].startswith("Nothing is held")
    for given in ([], ["--customer-ref", "K-1", "--contact", "con_1"]):
        assert flask(app, "export", *given, "--output", file)[2] == 2
    assert flask(app, "export", "--contact", "con_1", "--output", file)[2] == 3
    assert not list(tmp_path.glob("export*"))


def test_a_caller_is_found_exported_and_emptied_by_the_contact(app, tmp_path):  # noqa: F811
    file = tmp_path / "export"
    out, err, code = flask(app, "find", CALLER)
    assert (err, code) == ("", 0)
    name, fields = out.split()
    assert fields == "from_detail"
    assert flask(app, "export", "--contact", name, "--output", str(file)) == ("", "", 0)
    text = file.read_text()
    assert json.loads(text)["contact"]["from_detail"] == "+4989123456"
    assert "K-1" not in text
    assert "A-1" not in text
    emptied = flask(app, "empty", "--contact", name, "--reason", "request")
    assert emptied == ("Emptied: The customer's number or address.\nEmptied: Ticket.\nEmptied: Note.\n", "", 0)
    assert flask(app, "empty", "--contact", name, "--reason", "request") == ("Nothing is left to empty.\n", "", 0)
    assert flask(app, "find", CALLER) == ("Nothing is held: every contact was opened.\n", "", 0)
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        uow.verify([])


def test_what_is_no_detail_is_refused(app):  # noqa: F811
    out, err, code = flask(app, "find", "x" * 10_000)
    assert (out, code) == ("", 3)
    assert "must have 2 to 200 letters" in err

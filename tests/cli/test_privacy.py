"""`flask privacy`: customers are erased, or a hold keeps them."""

from contextlib import closing

import pytest

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE
from refunds.service.store import Store
from refunds.web import create_app
from tests.conftest import settings
from tests.service.test_privacy import recorded, registered


@pytest.fixture
def app(tmp_path, engine):
    """An installation with a customer who has an open request."""
    with closing(Store(settings(tmp_path, engine=engine))) as store:
        registered(store, "A-1", "K-1")
        recorded(store, "A-1")
    app = create_app(settings(tmp_path, engine=engine))
    app.cli = Commands(app.name)
    yield app
    app.extensions["refunds.store"].close()


def flask(app, *words):
    """The output, the errors and the exit code of a command."""
    result = app.test_cli_runner().invoke(args=["privacy", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.stdout, result.stderr, result.exit_code


def test_an_erasure_is_certified_and_again_by_its_id(app):
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        name = uow.customers.find("K-1")
    out, err, code = flask(app, "erase", "K-1", "--reason", "request")
    assert (out, code) == ("", 3)
    assert "has open matters: con_" in err
    certificate, err, code = flask(app, "erase", "K-1", "--reason", "request", "--anyway", "she insists")
    assert (err, code) == ("", 0)
    first, *lines = certificate.splitlines()
    assert first.startswith(f"Erased: customer {name}, ")
    assert f"Personal fields of 1 records in contacts: empty. Proof: flask privacy erase --id {name}" in certificate
    assert "Order: A-1" in lines
    assert "Out of scope: " in lines[-1]
    assert flask(app, "erase", "--id", name, "--reason", "child") == (certificate, "", 0)
    assert flask(app, "erase", "K-1", "--reason", "request") == ("Nothing is held about this customer.\n", "", 0)
    assert flask(app, "erase", "K-1", "--reason", "request", "--lang", "de")[0] != (
        "Nothing is held about this customer.\n"
    )
    assert flask(app, "erase", "--id", "cus_x", "--reason", "request")[2] == 3


def test_a_hold_keeps_a_customer_until_it_is_lifted(app):
    out, err, code = flask(app, "hold", "K-1", "--reason", "a claim")
    assert (out.startswith("Held: cus_"), err, code) == (True, "", 0)
    out, err, code = flask(app, "erase", "K-1", "--reason", "child")
    assert (out, code) == ("", 3)
    assert "A legal hold keeps the customer cus_" in err
    assert flask(app, "lift", "K-1") == ("", "", 0)
    assert flask(app, "erase", "K-1", "--reason", "child")[2] == 0
    assert flask(app, "hold", "K-1", "--reason", "late")[0] == "Nothing is held about this customer.\n"

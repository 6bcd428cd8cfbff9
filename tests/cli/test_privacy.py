"""`flask privacy`: data requests are answered; customers are erased, corrected, held, restricted, disclosed."""

import re
from contextlib import closing
from datetime import UTC, datetime

import pytest

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import DataRequestKind, DataRequestOutcome, ErasureReason, LimitKind
from refunds.presentation.texts.privacy import TABLES
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
    proof = f"flask privacy erase --reason request --id {name}"
    assert f"Personal fields, Request: empty in 1 record. Proof: {proof}" in certificate
    assert "Order: A-1" in lines
    assert "Out of scope: " in lines[-1]
    assert flask(app, *proof.split()[2:]) == (certificate, "", 0)
    assert flask(app, "erase", "--id", name, "--reason", "child") == (certificate, "", 0)
    german = flask(app, "erase", "--id", name, "--reason", "request", "--lang", "de")[0]
    assert f"Personenbezogene Felder, Anfrage: leer in 1 Datensatz. Nachweis: {proof}" in german
    assert flask(app, "erase", "K-1", "--reason", "request") == ("Nothing is held about this customer.\n", "", 0)
    assert flask(app, "erase", "K-1", "--reason", "request", "--lang", "de")[0] != (
        "Nothing is held about this customer.\n"
    )
    assert flask(app, "erase", "--id", "cus_x", "--reason", "request")[2] == 3


CODES = re.compile(
    rf"\b(?:{'|'.join([*ErasureReason, *DataRequestKind, *DataRequestOutcome, *TABLES])}|[a-z]+_[a-z]+)\b"
)


@pytest.mark.parametrize("reason", ErasureReason)
def test_nothing_in_german_is_a_code(app, reason):
    german = ("--lang", "de")
    contact = stored(app, lambda uow: uow.contacts.of_order("A-1")[0].contact_id)
    requests = [flask(app, "open", kind, "K-1", "--channel", "email")[0].split(",")[0] for kind in DataRequestKind]
    said = flask(app, "extend", requests[2], "--reason", "Eile", *german)[1]
    for name in requests[:2]:
        flask(app, "close", name, "--outcome", "taken_back")
        said += flask(app, "close", name, "--outcome", "refused", "--reason", "nein", *german)[1]
    assert said.count("abgeschlossen") == 2
    said += flask(app, "empty", "--contact", contact, "--reason", reason, *german)[0]
    assert "Geleert: " in said
    said += flask(app, "erase", "K-1", "--reason", reason, "--anyway", "Eile", *german)[0]
    assert "Grund: " in said
    assert not CODES.findall(re.sub(r"Nachweis: .*|\b[a-z]{3}_\w+", "", said))


def test_who_got_the_data_before_is_named_by_what_they_must_be_told_of(app):
    told = "Tell the police, too: BY-1.\n"
    given = ("--basis", "authority_request", "--recipient", "the police", "--file", "BY-1")
    assert flask(app, "disclose", "K-1", *given)[2] == 0
    contact = stored(app, lambda uow: uow.contacts.of_order("A-1")[0].contact_id)
    right = ("rectify", "K-1", "--set", "contacts", contact, "note", "Frau Richtig")
    assert flask(app, *right)[0] == f"{told}Corrected.\n"
    assert told not in flask(app, *right)[0]
    assert told in flask(app, "restrict", "K-1")[0]
    assert told not in flask(app, "restrict", "K-1", "--lift")[0]
    assert told not in flask(app, "object", "K-1")[0]
    name = stored(app, lambda uow: uow.customers.find("K-1"))
    assert told in flask(app, "erase", "K-1", "--reason", "child")[0]
    assert "Tell " not in flask(app, "erase", "--id", name, "--reason", "child")[0]


@pytest.mark.parametrize("outcome", ["refused", "taken_back"])
def test_nobody_is_to_be_told_of_what_was_not_done(app, outcome):
    given = ("--basis", "authority_request", "--recipient", "the police", "--file", "BY-1")
    assert flask(app, "disclose", "K-1", *given)[2] == 0
    for kind in ("rectification", "erasure", "restriction"):
        request = flask(app, "open", kind, "K-1", "--channel", "email")[0].split(",")[0]
        out, _, code = flask(app, "close", request, "--outcome", outcome, "--reason", "no proof")
        assert ("police" in out, code) == (False, 0)


def test_a_hold_keeps_a_customer_until_it_is_lifted(app):
    out, err, code = flask(app, "hold", "K-1", "--reason", "a claim")
    assert (out.startswith("Held: cus_"), err, code) == (True, "", 0)
    out, err, code = flask(app, "erase", "K-1", "--reason", "child")
    assert (out, code) == ("", 3)
    assert "A legal hold keeps the customer cus_" in err
    assert flask(app, "lift", "K-1")[0].startswith("No longer held: cus_")
    assert flask(app, "erase", "K-1", "--reason", "child")[2] == 0
    assert flask(app, "hold", "K-1", "--reason", "late")[0] == "Nothing is held about this customer.\n"


def stored(app, read):
    """What a function reads in a unit of work."""
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return read(uow)


def sound(app):
    """The number of events, of which the audit finds all sound."""
    store = app.extensions["refunds.store"]
    return stored(app, lambda uow: uow.verify(list(store.checkpoints)).events)


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        ("restrict", LimitKind.RESTRICTION, ("Restricted", "No longer restricted")),
        ("object", LimitKind.OBJECTION, ("Objection noted", "Objection lifted")),
    ],
)
def test_a_customer_restricts_or_objects_until_that_is_lifted(app, command, kind, words):
    name = stored(app, lambda uow: uow.customers.find("K-1"))
    assert flask(app, command, "K-1", "--reason", "a dispute") == (f"{words[0]}: {name}.\n", "", 0)
    assert stored(app, lambda uow: uow.limits.kinds(name)) == {kind}
    assert flask(app, command, "--id", name, "--lift") == (f"{words[1]}: {name}.\n", "", 0)
    assert not stored(app, lambda uow: uow.limits.kinds(name))
    assert flask(app, command, "K-9") == ("Nothing is held about this customer.\n", "", 0)
    sound(app)


def test_what_a_data_request_restricts_is_lifted_by_taking_it_back(app):
    name = stored(app, lambda uow: uow.customers.find("K-1"))
    request = flask(app, "open", "restriction", "K-1", "--channel", "email")[0].split(",")[0]
    assert flask(app, "close", request, "--outcome", "fulfilled", "--reason", "a claim")[2] == 0
    _, said, code = flask(app, "restrict", "K-1", "--lift")
    assert code
    assert request in said
    assert stored(app, lambda uow: uow.limits.kinds(name)) == {LimitKind.RESTRICTION}
    assert flask(app, "close", request, "--outcome", "taken_back")[2] == 0
    assert not stored(app, lambda uow: uow.limits.kinds(name))


def test_a_field_is_corrected(app):
    contact = stored(app, lambda uow: uow.contacts.of_order("A-1")[0].contact_id)
    right = ("--set", "contacts", contact, "note", "Frau Richtig")
    assert flask(app, "rectify", "K-1", *right) == ("Corrected.\n", "", 0)
    events = sound(app)
    assert flask(app, "rectify", "K-1", *right)[0].startswith("Nothing to correct")
    for wrong in (
        ("contacts", contact, "note", "4111 1111 1111 1111"),
        ("contacts", "con_x", "note", "x"),
        ("contacts", contact, "decision", "x"),
        ("clients", contact, "name", "x"),
    ):
        out, err, code = flask(app, "rectify", "K-1", *right[:-1], "Frau Anders", "--set", *wrong)
        assert (out, err.startswith("corrections/1/"), code) == ("", True, 3)
        assert "4111" not in err
    assert stored(app, lambda uow: uow.contacts.get(contact).note) == "Frau Richtig"
    assert sound(app) == events


def test_a_data_request_is_opened_checked_listed_and_closed(app):
    out, err, code = flask(
        app, "open", "erasure", "K-1", "--channel", "post", "--received-at", f"{datetime.now(UTC).isoformat()}"
    )
    assert (err, code) == ("", 0)
    name, _, due = out.partition(", to be answered before ")
    listed = flask(app, "requests", "--state", "open")[0]
    assert [word in listed for word in (name, "erasure", due.strip(), "K-1")] == [True, True, True, False]
    assert "has no identity check" in flask(app, "close", name, "--outcome", "fulfilled")[1]
    assert flask(app, "identity", name, "passport") == ("", "", 0)
    done, err, code = flask(app, "close", name, "--outcome", "fulfilled", "--erasure-reason", "child")
    assert (done.startswith("Erased: customer cus_"), err, code) == (True, "", 0)
    assert name not in flask(app, "requests", "--state", "open")[0]
    assert "fulfilled" in flask(app, "requests", "--kind", "erasure")[0]
    unknown = flask(app, "open", "access", "K-1", "--channel", "phone", "--identity-check", "called back")[0]
    assert unknown.startswith("Nothing is held about this customer.\n")
    other = unknown.splitlines()[1].partition(",")[0]
    assert flask(app, "close", other, "--outcome", "nothing_held") == ("", "", 0)
    assert flask(app, "close", other, "--outcome", "refused", "--reason", "no")[2] == 3
    for wrong in (("--received-at", "yesterday"), ("--recipient", "4111 1111 1111 1111")):
        assert flask(app, "open", "access", "K-1", "--channel", "phone", *wrong)[2] == 3
    sound(app)


def test_a_data_request_is_extended_may_cost_something_and_is_refused_in_words(app):
    name = flask(app, "open", "access", "K-1", "--channel", "post")[0].partition(",")[0]
    for _ in "ab":
        said, err, code = flask(app, "extend", name, "--reason", "many records")
        assert (said.startswith("We need more time"), said.endswith("many records\n"), err, code) == (True, True, "", 0)
    assert flask(app, "extend", name, "--reason", "more")[2] == 3
    assert flask(app, "fee", name, "excessive")[2] == 3
    assert (
        "weil der Antrag exzessiv ist"
        in flask(app, "fee", name, "excessive", "--reason", "jede Woche", "--lang", "de")[0]
    )
    assert "charge" not in flask(app, "fee", name, "none")[0]
    assert "go to court" in flask(app, "close", name, "--outcome", "refused", "--reason", "no proof")[0]
    erasure = flask(app, "open", "erasure", "K-1", "--channel", "post", "--identity-check", "passport")[0]
    erasure = erasure.partition(",")[0]
    assert "Only access" in flask(app, "extend", erasure, "--reason", "many records")[1]
    flask(app, "disclose", "K-1", "--basis", "processor", "--recipient", "a carrier", "--file", "C-1")
    done = flask(app, "close", erasure, "--outcome", "fulfilled", "--erasure-reason", "child")[0]
    assert done.startswith("Tell a carrier, too: C-1.\nErased: customer ")
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE data_requests SET closed_at = NULL, due_at = 1 WHERE request_id = :name", name=name)
    assert name in (late := flask(app, "requests", "--overdue")[0])
    assert erasure not in late


def test_a_disclosure_is_noted(app):
    given = ("--basis", "authority_request", "--recipient", "Polizei", "--file", "BY-114")
    out, err, code = flask(app, "disclose", "K-1", *given)
    assert (out.startswith("dis_"), err, code) == (True, "", 0)
    assert flask(app, "disclose", "K-9", *given)[2] == 3
    assert flask(app, "disclose", "K-1", *given[2:])[2] == 2
    name = stored(app, lambda uow: uow.customers.find("K-1"))
    (noted,) = stored(app, lambda uow: uow.disclosures.of_customer(name))
    assert (noted.recipient, noted.reference) == ("Polizei", "BY-114")
    sound(app)

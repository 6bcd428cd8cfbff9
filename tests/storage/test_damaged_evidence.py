"""Evidence on damaged records: whatever the audit lists, evidence names too, and shows what can still be read."""

import random
from contextlib import ExitStack, closing, suppress

import orjson
import pytest
import time_machine

from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.errors import StorageUnavailable, Unreadable
from refunds.presentation import serializers
from refunds.presentation.documents import evidence as page
from refunds.service import evidence
from refunds.storage.audit import Report
from refunds.storage.sqlite import sqlite3
from refunds.web import create_app
from tests import scaled
from tests.api.conftest import IN_TIME, Desk
from tests.conftest import client_of, settings

AUDITOR = Principal("cli_auditor", "an auditor", Role.AUDITOR)

DAMAGES = (
    "NULL",
    "'x'",
    "''",
    "CAST(X'6180FF' AS TEXT)",  # not UTF-8
    "X'00FF'",
    "X''",
    "9223372036854775807",
    "-9223372036854775808",
    "-1",
    "0.5",
    "'{}'",
    "'[1]'",
    "replace({}, 'Europe/Berlin', 'Nowhere/Else')",
    "replace({}, '\"2026-04-0', '\"2026-14-0')",
    "replace(replace({}, 'within_window', 'whenever'), 'statutory_rights', 'other_rights')",
    "replace({}, ':\"', ':[\"')",
    "replace({}, 'DE', 'QQ')",
    "replace({}, '2', '-7')",
)
"""What becomes of a value: an expression of SQLite, in which `{}` is its column."""

TABLES = (
    "orders",
    "customers",
    "promises",
    "contacts",
    "unmatched_contacts",
    "cancellations",
    "policy_versions",
    "closures",
    "events",
    "journal_head",
)


@pytest.fixture(scope="module")
def store():
    """An installation with an order that has records of each kind."""
    with time_machine.travel(IN_TIME, tick=False) as clock:
        app = create_app(settings(engine="sqlite"))
        with closing(app.extensions["refunds.store"]) as store:
            desk = Desk(client_of(app), clock)
            assert desk.post("/v1/policies/virtual-numbers/closures", {"date": "2026-04-08"}).status_code == 201
            order_id = desk.register("A-1")
            kept = desk.post("/v1/contacts", {"order_hint": "A-?", "channel": "phone", "note": "called"}).json
            contact = desk.put(f"/v1/contacts/{kept['unmatched_id']}/order", json={"order_id": order_id}).json
            desk.cancelled(order_id, contact_id=contact["contact_id"])
            store.checkpoint()
            with store.write(COMMAND_LINE) as uow:
                uow.tx.run("PRAGMA ignore_check_constraints = ON")
            yield store


class Undone(Exception):
    """Ends a write that is not to be kept."""


def columns(uow, table):
    """The columns of a table that are stored."""
    return [row["name"] for row in uow.tx.all(f"PRAGMA table_info({table})")]


def looked_at(store, sql):
    """What evidence shows to each reader after a statement that is then undone, and what the audit lists."""
    shown, listed = [], []
    seen = store._seen
    with ExitStack() as stack:
        # The store has taken the damaged head for one that is stored: no other transaction sees what is not committed.
        stack.callback(setattr, store, "_seen", seen)
        stack.enter_context(suppress(Undone))
        uow = stack.enter_context(store.write(COMMAND_LINE))
        uow.tx.run("PRAGMA defer_foreign_keys = ON")
        uow.tx.run(sql)
        checkpoints = list(store.checkpoints)
        listed += [str(fault.detail) for fault in uow.faults(checkpoints, Report())]
        for reader in (COMMAND_LINE, AUDITOR):
            uow._context.principal = reader
            found = evidence.gather(uow, "A-1", checkpoints)
            shown.append((orjson.loads(orjson.dumps(serializers.evidence_data(found))), page.render_html(found)))
        raise Undone
    return shown, listed


def test_what_is_as_it_was_written_is_sound(store):
    shown, listed = looked_at(store, "SELECT 1")
    assert listed == []
    assert [data["proof"]["broken"] for data, _ in shown] == [[], []]


def cases(uow):
    """The statements that damage a value, or all rows of a table."""
    for table in TABLES:
        yield f"DELETE FROM {table}"  # noqa: S608
        for column in columns(uow, table):
            for damage in DAMAGES:
                yield f"UPDATE {table} SET {column} = {damage.format(column)}"  # noqa: S608


@pytest.mark.proof
def test_what_the_audit_lists_is_named_to_every_reader_and_the_rest_is_shown(store):
    """What the database refuses proves nothing, nor does a journal without its head, with which nothing can be read."""
    with store.read(COMMAND_LINE) as uow:
        every = list(cases(uow))
    chosen = random.Random(1).sample(every, scaled(40, len(every)))  # noqa: S311 - it is to be repeatable
    compared = 0
    # The head of the journal and what was promised are always among them: they are compared apart from the records.
    always = [sql for sql in every if "journal_head" in sql or "SET told" in sql]
    for sql in [*chosen, *always]:
        try:
            shown, listed = looked_at(store, sql)
        except (StorageUnavailable, Unreadable, sqlite3.IntegrityError):
            continue
        compared += bool(listed)
        for data, document in shown:
            broken = data["proof"]["broken"]
            assert bool(broken) == bool(listed), (sql, broken, listed)
            assert ("The records are not what was written" in document) == bool(listed), sql
    assert compared > len(chosen) / 2

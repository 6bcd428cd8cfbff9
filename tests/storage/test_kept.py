"""Databases of every earlier step of the schema, written by the version of that step, can be opened, verified and replayed.

`tests.storage.keep` keeps one of each new step. It never changes: if a test here fails, the service can no longer read
what it once wrote.
"""

import lzma
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import psycopg
import pytest
import time_machine
from sqlite_utils import Database

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Cancellation, State, personal
from refunds.domain.references import REQUEST_NUMBER
from refunds.domain.resolutions import ResolutionReason
from refunds.presentation.serializers import contact_data
from refunds.security.encryption import NO_ACCESS, CustomerCipher, new_key
from refunds.service import clock, contacts, events, publication, resolutions, retention
from refunds.service.replay import Replayed, replay
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from refunds.storage import migrations
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.mapper import RecordMapper
from tests import scaled
from tests.conftest import settings
from tests.storage.keep import KEPT
from tests.storage.restored import restored

pytestmark = pytest.mark.proof

STEPS = [step for step, _ in migrations.MIGRATIONS]
KEPT_ENGINES = {step: sorted(path.name for path in (KEPT / step).glob("*")) for step in STEPS}


@pytest.fixture(scope="module", params=scaled(sorted({*STEPS[::5], STEPS[-1]}), STEPS))
def step(request):
    """A step of the schema."""
    return request.param


@pytest.fixture
def store(step, engine, tmp_path):
    """The kept database of a step on an engine, restored; opening it applies the later steps."""
    opened = Store(restored(step, engine, tmp_path))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared_store(step, engine, tmp_path_factory):
    """The same for tests that only read."""
    opened = Store(restored(step, engine, tmp_path_factory.mktemp("kept")))
    yield opened
    opened.close()


def verified(store):
    """The report of the audit."""
    with store.read(COMMAND_LINE) as uow:
        return uow.verify(list(store.checkpoints))


def test_each_step_of_the_schema_has_a_database_on_each_engine():
    missing = [step for step in STEPS if KEPT_ENGINES[step] != ["postgresql", "sqlite"]]
    assert not missing, f"run python -m tests.storage.keep for {missing}"


def test_a_kept_database_has_the_steps_up_to_its_own(step, tmp_path):
    (tmp_path / "records.db").write_bytes(lzma.decompress((KEPT / step / "sqlite" / "records.xz").read_bytes()))
    with sqlite3.connect(tmp_path / "records.db") as connection:
        taken = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name")]
    assert taken == STEPS[: STEPS.index(step) + 1]


ON_POSTGRESQL = (
    (
        "SELECT table_name, column_name, data_type, is_nullable, is_generated FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    ),
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef",
)


def schema(configured, engine):
    """The schema of a database, as `sqlite-utils` or the server describes it."""
    if engine == "sqlite":
        with sqlite3.connect(configured.database.removeprefix("sqlite:///")) as connection:
            database = Database(connection)
            described = {table.name: (table.columns, sorted(table.xindexes)) for table in database.tables}
            return sorted(database.schema.split(";\n")), described  # a rewritten file has another order
    with psycopg.connect(configured.database) as connection:
        return [connection.execute(sql).fetchall() for sql in ON_POSTGRESQL]


def test_a_migrated_database_has_the_schema_of_a_new_one(store, engine, tmp_path):
    new = settings(tmp_path / "new", engine=engine)
    with closing(Store(new)) as opened:
        opened.open()
    store.open()
    store.close()
    assert schema(store._settings, engine) == schema(new, engine)


def test_a_kept_database_is_opened_and_found_sound(shared_store):
    report = verified(shared_store)
    assert report.events >= report.checkpointed > 60
    with shared_store.read(COMMAND_LINE) as uow:
        assert [row["name"] for row in uow.tx.all("SELECT name FROM migrations ORDER BY name")] == STEPS


def test_a_replay_of_a_kept_database_finds_no_difference(shared_store):
    found = Replayed()
    with shared_store.read(COMMAND_LINE) as uow:
        assert not list(replay(uow, found))
    assert found.decisions > 30


SINCE = {
    EventType.ORDER_CONFIRMED: "0005_refunds",
    EventType.CANCELLATION_REFUND_BEGUN: "0005_refunds",
    EventType.CANCELLATION_REFUND_FAILED: "0005_refunds",
    EventType.ORDER_PROMISED: "0006_promises",
    EventType.CONTACT_REOPENED: "0007_answers",
    EventType.CONTACT_ACKNOWLEDGED: "0007_answers",
    EventType.CONTACT_COMPLETED: "0007_answers",
    EventType.CONTACT_UNMATCHED_RECORDED: "0007_answers",
    EventType.CONTACT_UNMATCHED_RESOLVED: "0007_answers",
    EventType.CONTACT_MATCHED: "0007_answers",
    EventType.CONTACT_UNMATCHED_SUPERSEDED: "0013_corrections",
    EventType.CONTACT_UNMATCHED_ACKNOWLEDGED: "0013_corrections",
    EventType.CONTACT_UNMATCHED_COMPLETED: "0012",  # of no step
    EventType.CONTACT_EMPTIED: "0009",  # of the step 0008, but after its kept database was made
    EventType.CONTACT_UNMATCHED_EMPTIED: "0009",
    EventType.ORDER_FORGOTTEN: "0010_retention",
    EventType.CONTACT_DETAILS_FORGOTTEN: "9999",  # a year after a kept database was made, so in none
    EventType.CONTACT_UNMATCHED_FORGOTTEN: "9999",
    **{event: "0008_privacy" for event in EventType if event.startswith(("customer.", "data_request.", "privacy."))},
    EventType.PRIVACY_FORGOTTEN: "9999",
    EventType.CONTACT_ASSIGNED: "0011_queue",
    EventType.CONTACT_UNMATCHED_ASSIGNED: "0011_queue",
    EventType.CONTACT_UNMATCHED_REOPENED: "0011_queue",
}


def test_every_kind_of_record_in_a_kept_database_is_read(step, shared_store):
    with shared_store.read(COMMAND_LINE) as uow:
        recorded = uow.contacts.paginate(limit=200)
        issued = uow.cancellations.paginate(limit=200)
        types = {event.type for event in events.read(uow, None, 1000, None).events}
        assert {one.state for one in issued} == set(State) - ({State.REFUNDING} if step < "0005_refunds" else set())
        assert {one.outcome.reason for one in recorded} > {"within_window", "window_elapsed", "order_already_cancelled"}
        assert {one.from_detail for one in recorded} >= {"+49891234567", "kim@example.org"}
        assert all(uow.orders.get(one.order_id).customer_ref for one in recorded)
        by_text = [one for one in recorded if one.resolved_at is not None and one.resolution_code is None]
        assert {contact_data(one)["resolution"]["reason"] for one in by_text} >= (
            {"Bleibt doch."} if step < "0007_answers" else set()
        )
        assert len(uow.policies["virtual-numbers"].versions) == (1 if step == STEPS[0] else 3)
        assert len(publication.closures(uow, "virtual-numbers")) == (0 if step == STEPS[0] else 3)
        assert len(list(uow.users.iter_all())) == (0 if step in STEPS[:2] else 1)
        about_orders = {
            event for event in EventType if event.startswith(("order.", "contact.", "cancellation.", "customer."))
        }
        assert types >= {event for event in about_orders if SINCE.get(event, step) <= step}


def test_a_kept_database_can_be_written_to(store):
    before = verified(store).events
    with store.write(COMMAND_LINE) as uow:
        contact = next(one for one in uow.contacts.paginate(limit=200, open=True) if one.resolved_at is None)
        together = [one for one in uow.contacts.open_about([contact.order_id]) if one.intent is contact.intent]
        given = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER, reason="Hat sich erledigt.")
        resolutions.resolve(uow, contact.contact_id, given)
    assert verified(store).events == before + len(together)


def test_what_is_over_in_a_kept_database_goes_once_its_time_is_over(store):
    with time_machine.travel(datetime(2060, 1, 1, tzinfo=UTC)):
        store.open()
        clock.confirm(store)
        gone = retention.run(store)
        assert gone["details"]
        assert gone["cancelled_orders"]
        report = verified(store)
        assert not any(retention.run(store, dry_run=True).values())
    with store.read(COMMAND_LINE) as uow:
        assert not list(replay(uow, Replayed()))
        held = len(uow.tx.all("SELECT 1 FROM limits WHERE kind = 'hold' AND lifted_at IS NULL"))
        open_ = {one.order_id for one in uow.contacts.paginate(limit=200, open=True)}
        left = {row["order_id"] for row in uow.tx.all("SELECT order_id FROM cancellations WHERE state <> 'revoked'")}
        assert len(uow.tx.all("SELECT 1 FROM orders")) <= held + len(open_ | left)
    assert report.records > 10


def test_contacts_of_a_kept_database_get_request_numbers_even_if_that_is_interrupted(store, monkeypatch):
    before = verified(store).events
    monkeypatch.setattr(contacts, "BATCH", 4)
    with store.write(COMMAND_LINE) as uow:
        without = uow.contacts.count() - len(uow.tx.all("SELECT 1 FROM contacts WHERE request_number IS NOT NULL"))
        some = uow.contacts.number_some(2)
    assert some + contacts.number_all(store) == without
    assert contacts.number_all(store) == 0
    with store.read(COMMAND_LINE) as uow:
        numbers = [REQUEST_NUMBER.parse(one.request_number) for one in uow.contacts.paginate(limit=200)]
    assert len(set(numbers)) == len(numbers) > 10
    assert verified(store).events == before


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised(Cancellation):
    """A cancellation as a later version may define it: with another field, and one that is stored under another name."""

    promised_until: date | None = None
    promise: str | None = personal()


PROMISES = RecordMapper(
    Promised,
    "cancellations",
    stored_as={"promised_until": "until", "promise": "promise_text"},
    added={**CANCELLATIONS.added, "until": "9999_promises", "promise_text": "9999_promises"},
)


def test_a_later_column_is_part_of_the_digest_where_it_has_a_value(store):
    with store.write(COMMAND_LINE) as uow:
        for column, kind in (("until", "TEXT"), ("promise_text", "{bytes}")):
            uow.tx.run(f"ALTER TABLE cancellations ADD COLUMN {column} {kind}")
    with store.write(COMMAND_LINE) as uow:
        digests = {event.subject: event.digest for event in events.read(uow, None, 1000, None).events}
        rows = uow.tx.all("SELECT * FROM cancellations")
        assert all(PROMISES.digest(row) == digests[row["cancellation_id"]] for row in rows)
        cipher = CustomerCipher(new_key())
        of_its_own = next(row for row in rows if row["override_reason"] is None)
        before = replace(
            PROMISES.load(of_its_own, NO_ACCESS), override_reason=None, billing_ref=None, revocation_reason=None
        )
        after, digest = PROMISES.change(
            uow.tx, before, cipher, promised_until=date(2026, 12, 2), promise="bis Mittwoch"
        )
        (row,) = uow.tx.all("SELECT * FROM cancellations WHERE until IS NOT NULL")
        assert row["until"] == "2026-12-02"
        assert PROMISES.load(row, cipher).promise == after.promise == "bis Mittwoch"
        assert PROMISES.digest(row) == digest != digests[row["cancellation_id"]]
        assert PROMISES.digest(dict(row) | {"until": "2026-12-03"}) != digest
        assert PROMISES.digest(dict(row) | {"promise_text": None}) != digest

"""A database of the version before promises, told by an earlier release, is upgraded together with the data.

What its decisions have told stands, and the dates that they told do not count never count.
"""

import sqlite3
from contextlib import closing
from datetime import date, datetime, time, timedelta
from unittest import mock

import psycopg
import pytest
import time_machine

from refunds.domain import judging
from refunds.domain.business_days import DayStatus
from refunds.domain.contact_points import Channel
from refunds.domain.instants import zone
from refunds.domain.outcomes import Facts, Reason
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.service import contacts, orders, promises, watch
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.replay import Replayed, replay
from refunds.service.store import Store
from refunds.storage.contacts import CONTACTS
from tests import PROOFS, scaled
from tests.changed_data import few_years, holiday_data
from tests.moved_windows import YEARS, data_of, moved
from tests.storage.restored import restored

pytestmark = pytest.mark.proof

BEFORE = "0005_refunds"
RELEASE = "0.100"
ADMIN = Principal("cli_admin", "admin of the test", Role.ADMIN)
BERLIN = zone("Europe/Berlin")
HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
FEW = () if PROOFS else ("AE", "NA", "PK", "ZM")
DAYS = scaled(8, 60)
"""The days on which services are provided, those with the most windows that have moved, after the database was kept."""

KEPT_ON = date(2026, 11, 28)

BACK = (
    "CREATE INDEX cancellations_of_order ON cancellations (order_id, cancellation_id)",
    "DROP INDEX orders_by_bare_number",
    *(f"DROP INDEX {name}" for name in ("queued_contacts", "open_after_others", "open_by_receipt", "taken_contacts")),
    *(f"DROP INDEX {name}" for name in ("contacts_without_request", "refused_requests", "goodwill_by_issue")),
    *(f"ALTER TABLE contacts DROP COLUMN {name}" for name in ("queue_place", "requests_before")),
    "DROP TABLE sessions",
    "DROP INDEX contacts_of_resolver",
    "DROP INDEX cancellations_of_contact",
    "DROP INDEX contacts_with_details",
    "DROP TABLE statistics",
    "DROP INDEX erased_customers",
    "DROP INDEX replies_of_customer",
    "ALTER TABLE idempotency DROP COLUMN of_customer",
    *(f"DROP TABLE {name}" for name in ("limits", "disclosures", "data_requests")),
    "DROP INDEX replies_of_unmatched",
    "ALTER TABLE idempotency DROP COLUMN unmatched_id",
    "DROP TABLE unmatched_contacts",
    "DROP INDEX contacts_by_number",
    "DROP INDEX contacts_without_number",
    *(f"ALTER TABLE contacts DROP COLUMN {name}" for name in CONTACTS.added),
    "DROP TABLE promises",
    "ALTER TABLE orders DROP COLUMN told_until",
    "DELETE FROM migrations WHERE name > '0005_refunds'",
)
"""What makes a database one of the version before, if it has no promises."""


def services():
    """When services are provided, in order, and where: in each window that has moved since the release, twice."""
    by_day = {}
    for window in moved(RELEASE, FEW):
        if window.service_day > KEPT_ON:
            by_day.setdefault(window.service_day, []).append(window.region)
    days = sorted(sorted(by_day, key=lambda day: len(by_day[day]))[-DAYS:])
    return [(datetime.combine(day, time(8), BERLIN), region) for day in days for region in by_day[day] for _ in "ab"]


def told_by_the_version_before(store, provided, clock):
    """Register an order for each service, and record a call about every second; the windows that these told."""
    told = {}
    with mock.patch.object(promises, "keep"), mock.patch.object(promises, "put"):
        for number, (at, region) in enumerate(provided):
            clock.move_to(at + HOUR)
            facts = OrderFacts(order_id=f"O-{number}", customer_ref="K", service_provided_at=at, region=region)
            with store.write(ADMIN) as uow:
                orders.register(uow, facts)
                if number % 2:
                    recorded = contacts.record(uow, f"O-{number}", NewContact(channel=Channel.PHONE))
                    told[f"O-{number}"] = recorded.outcome.told
    return told


def set_back(configured):
    """Take the schema back to the version before."""
    if configured.database.startswith("sqlite"):
        with closing(sqlite3.connect(configured.database.removeprefix("sqlite:///"), isolation_level=None)) as database:
            for statement in BACK:
                database.execute(statement)
    else:
        with psycopg.connect(configured.database, autocommit=True) as connection:
            for statement in BACK:
                connection.execute(statement)


def of_dates(told, *, counted):
    """The dates of a window that count, or all that do not."""
    return {day.date for day in told.days if (day.status is DayStatus.COUNTED) is counted}


def today(store, provided):
    """The windows by the present data alone, by order id."""
    with store.read(COMMAND_LINE) as uow:
        policy = uow.policies[uow.policies.default]
    return {
        f"O-{number}": judging.judge(policy, Facts(service_provided_at=at, received_at=at), None, region).told
        for number, (at, region) in enumerate(provided)
    }


def test_orders_from_before_promises_keep_what_was_told(engine, tmp_path, record_property):
    configured, provided = restored(BEFORE, engine, tmp_path), services()
    with few_years(YEARS), time_machine.travel(provided[0][0], tick=False) as clock:
        with holiday_data(RELEASE, data_of(RELEASE, FEW)), closing(Store(configured)) as store:
            told = told_by_the_version_before(store, provided, clock)
        set_back(configured)
        clock.shift(HOUR)
        with closing(Store(configured)) as store:
            watched, present = watch.watch(store), today(store, provided)
            assert watched.filled >= len(provided)
            with store.read(COMMAND_LINE) as uow:
                answers = {
                    order_id: orders.judged_when_provided(uow, uow.orders.get(order_id)).told for order_id in present
                }
                for order_id, answer in answers.items():
                    asked = orders.eligibility(uow, uow.orders.get(order_id), answer.deadline - MOMENT)
                    assert (asked.eligible, asked.reason) == (True, Reason.WITHIN_WINDOW)
                uow.verify(list(store.checkpoints))
                assert {difference.order_id for difference in replay(uow, Replayed())} <= told.keys()
    assert all(answer.deadline >= present[order_id].deadline for order_id, answer in answers.items())
    assert all(answers[order_id].deadline >= before.deadline for order_id, before in told.items())
    for order_id, before in told.items():
        assert not of_dates(before, counted=False) & of_dates(answers[order_id], counted=True), (
            before,
            answers[order_id],
        )
    lengthened = sum(answers[order_id].deadline > before.deadline for order_id, before in told.items())
    kept = sum(answers[order_id].deadline > present[order_id].deadline for order_id in told)
    assert lengthened
    assert kept
    record_property(
        "measured", f"{engine}: {len(told)} orders that were told before; {lengthened} lengthened, {kept} kept"
    )

"""The audit finds every change behind the service's back, and nothing where nothing was changed."""

import random
import re
import secrets
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql as composed

from refunds.cli import Commands
from refunds.domain.contact_points import Channel
from refunds.domain.journal import EMPTYING, FORGETTING, GENESIS, WITHOUT_RECORD, Entry, EventType, chained
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.privacy import (
    DataRequestChannel,
    DataRequestKind,
    DataRequestOutcome,
    DisclosureBasis,
    Fee,
    LimitKind,
)
from refunds.domain.records import Intent, OverrideKind, RefundEndReason, RevocationReason, State, UnsettleReason, User
from refunds.domain.resolutions import ReopeningReason, ResolutionReason
from refunds.domain.statistics import ClosedMonth
from refunds.errors import RefundsError
from refunds.presentation.language import speaking, translate
from refunds.schemas.policy import read_policy
from refunds.security.encryption import NO_ACCESS, Keyring
from refunds.service import (
    assignments,
    backups,
    cancellations,
    clients,
    contacts,
    data_requests,
    orders,
    privacy,
    publication,
    rectification,
    resolutions,
    settlements,
    unmatched,
    users,
)
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.data_requests import Given
from refunds.service.orders import OrderFacts
from refunds.service.rectification import Correction
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from refunds.service.watch import watch
from refunds.storage import audit, events, tables
from refunds.storage.audit import Broken, Report, Shortened
from refunds.storage.checkpoints import Checkpoint, Checkpoints
from refunds.storage.erasures import ErasureLedger
from refunds.storage.postgres import PostgreSQL
from refunds.storage.sqlite import SQLite, sqlite3
from refunds.storage.tables import RECORDS, table_of
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import create_app
from tests import database_of, scaled
from tests.conftest import settings
from tests.postgres import shared

ORDERS = 62
STAFF = (Principal("cli_boss", "the boss", Role.ADMIN), Principal("cli_deputy", "the deputy", Role.ADMIN))
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)

# An installation in which everything happens that can happen.


def register(uow, i, *, provided=-HOUR, customer=None):
    """Register an order whose service was provided an hour ago, or at another time, and return its facts."""
    facts = OrderFacts(
        order_id=f"A-{i:04}",
        customer_ref=customer or f"K-{i % 40}",
        service_provided_at=None if provided is None else uow.now + provided,
        ordered_at=uow.now - 2 * MONTH,
        region=(None, "DE-BY", "DE")[i % 3],
    )
    orders.register(uow, facts)
    return facts


def call(**changed):
    """A call of a customer, with every personal field."""
    given = {
        "channel": Channel.PHONE,
        "from_detail": "+493012345678",
        "ticket_ref": "T-1",
        "note": "a note",
        "contact_point": "+4930901820",
    }
    return NewContact(**given | changed)


def issue(uow, facts, contact=None, **options):
    """Issue a cancellation and return the outcome, which may be a refusal."""
    return cancellations.issue(uow, order=facts.order_id, contact=contact or call(), **options)


def issued(uow, i):
    """Cancel a new order and return the id of the cancellation."""
    return issue(uow, register(uow, i)).cancellation_id


def settled(uow, i):
    settlements.settle(uow, issued(uow, i), None, f"RF-{i}")


def refunding(uow, i):
    """Begin a refund, which sometimes fails and is begun again."""
    cancellation_id = issued(uow, i)
    settlements.begin_refund(uow, cancellation_id, f"RF-{i}" if i % 2 else None)
    if i % 2 == 0:
        settlements.end_refund(uow, cancellation_id, RefundEndReason.REFUND_FAILED)
        settlements.begin_refund(uow, cancellation_id, None)


def unsettled(uow, i):
    cancellation_id = issued(uow, i)
    settlements.settle(uow, cancellation_id, uow.now, "RF-0")
    settlements.unsettle(uow, cancellation_id, UnsettleReason.REFUND_FAILED)


def revoked(uow, i):
    """Revoke a cancellation as an error, and sometimes issue one again on the reopened contact."""
    cancellation = issue(uow, register(uow, i))
    settlements.revoke(uow, cancellation.cancellation_id, RevocationReason.ENTERED_IN_ERROR, "a slip")
    if i % 2:
        cancellations.issue(uow, order=cancellation.order_id, contact=cancellation.contact_id)


def withdrawn(uow, i):
    settlements.revoke(uow, issued(uow, i), RevocationReason.CUSTOMER_KEPT_ORDER, None)


def overridden(uow, i):
    facts = register(uow, i, provided=-MONTH)
    refused = issue(uow, facts)
    override = Override(OverrideKind.GOODWILL, "a good customer")
    cancellations.issue(uow, order=facts.order_id, contact=refused.contact.contact_id, override=override)


def superseded(uow, i):
    facts = register(uow, i)
    question = contacts.record(uow, facts.order_id, call(intent=Intent.QUESTION))
    request = contacts.record(uow, facts.order_id, call(supersedes=question.contact_id, note="he did ask for it"))
    if i % 2:
        cancellations.issue(uow, order=facts.order_id, contact=request.contact_id)


def resolved(uow, i):
    """Take a contact, resolve it, and sometimes reopen it; the customer is answered, and a ticket and a note are added."""
    contact = contacts.record(uow, register(uow, i).order_id, call(note=None, ticket_ref=None))
    resolutions.acknowledge(uow, contact.contact_id, channel=Channel.EMAIL, to="kim@example.org")
    resolutions.complete(uow, contact.contact_id, ticket_ref="T-1")
    resolutions.complete(uow, contact.contact_id, note="she was told")
    assignments.assign(uow, contact.contact_id)
    if i % 2:
        assignments.give_back(uow, contact.contact_id)
    kept = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER, reason="he keeps it")
    resolutions.resolve(uow, contact.contact_id, kept)
    if i % 2:
        resolutions.reopen(uow, contact.contact_id, ReopeningReason.ENTERED_IN_ERROR)
        again = contacts.record(uow, contact.order_id, call()).contact_id
        repeats = Resolution(reason_code=ResolutionReason.DUPLICATE, duplicate_of=contact.contact_id)
        resolutions.resolve(uow, again, repeats)


def backdated(uow, i):
    facts = register(uow, i, provided=-MONTH)
    contacts.record(uow, facts.order_id, call(received_at=uow.now - MONTH + HOUR))


def corrected(uow, i):
    """Correct the customer of an order; the first customer has no order then."""
    facts = register(uow, i, customer=f"nobody-{i}")
    contacts.record(uow, facts.order_id, call())
    settlements.revoke(uow, issue(uow, facts).cancellation_id, RevocationReason.ENTERED_IN_ERROR, None)
    right = OrderFacts(order_id=facts.order_id, customer_ref=f"K-{i % 40}", service_provided_at=uow.now - 3 * HOUR)
    orders.correct(uow, right, "the wrong customer", {1, 2})


def corrected_after_a_refusal(uow, i):
    facts = register(uow, i, provided=-MONTH)
    contacts.record(uow, facts.order_id, call())
    right = OrderFacts(**_facts(facts, service_provided_at=uow.now - HOUR))
    orders.correct(uow, right, "the wrong date", {1})


def stated_by_an_agent(store):
    """An agent registers two orders, and billing states the same about one of them."""
    agent = Principal("cli_agent", "the agent", Role.AGENT)
    with store.write(agent) as uow:
        register(uow, 2000)
        facts = register(uow, 2001)
    with store.write(STAFF[0]) as uow:
        orders.register(uow, facts)


def late(uow, i):
    """Record another contact about a cancelled order, and one that is too late."""
    facts = register(uow, i)
    issue(uow, facts)
    issue(
        uow,
        facts,
        call(channel=Channel.EMAIL, contact_point=None, from_detail="a@example.com", sent_at=uow.now - HOUR),
    )
    contacts.record(uow, register(uow, i + 1000, provided=-MONTH).order_id, call(note=None))


def provided(uow, i):
    orders.register(uow, OrderFacts(**_facts(register(uow, i, provided=None), service_provided_at=uow.now - HOUR)))


def without_an_order(store):
    """Keep contacts whose order is not known: one is matched, one resolved, and two are left open."""
    with store.write(STAFF[0]) as uow:
        kept = [unmatched.record(uow, f"the order of {name}", call(sent_at=uow.now - HOUR)) for name in "abcd"]
        order_id = register(uow, 2002).order_id
    with store.write(STAFF[1]) as uow:
        unmatched.match(uow, kept[0].unmatched_id, order_id)
        unmatched.resolve(uow, kept[1].unmatched_id, "not found")
        unmatched.reopen(uow, kept[1].unmatched_id, ReopeningReason.CUSTOMER_ASKED_AGAIN)
        unmatched.resolve(uow, kept[1].unmatched_id, "another shop's order")
        assignments.assign(uow, kept[2].unmatched_id)
        without = unmatched.record(uow, "the order of e", call(ticket_ref=None))
        resolutions.complete(uow, without.unmatched_id, ticket_ref="T-2")
        unmatched.record(uow, "the order of f", call(supersedes=without.unmatched_id))
        resolutions.acknowledge(uow, kept[2].unmatched_id, channel=Channel.EMAIL, to="kim@example.org")


def limited(store):
    """Hold three customers, one after the other, and lift two of the holds."""
    for i in range(3):
        with store.write(STAFF[i % 2]) as uow:
            customer_id = uow.orders.get(register(uow, 2100 + i).order_id).customer_id
            privacy.limit(uow, customer_id, LimitKind.HOLD, f"claim {i}")
        if i:
            with store.write(STAFF[i % 2]) as uow:
                privacy.lift(uow, customer_id, LimitKind.HOLD)


def counted(store):
    """Close three months."""
    for i in range(3):
        with store.write(STAFF[i % 2]) as uow:
            cells = {"DE": {"phone": {"cancelled": 40 + i}}}
            month = ClosedMonth(month=f"2026-0{i + 1}", cells=cells, closed_at=uow.now, closed_by=STAFF[i % 2].actor)
            uow.statistics.add(month, EventType.STATISTICS_CLOSED)


def asked_about(store):
    """Answer data requests, correct a field, restrict and object, lift both, and disclose."""
    with store.write(STAFF[0]) as uow:
        order = uow.orders.get(register(uow, 2200, customer="K-asked").order_id)
        ref, who = order.customer_ref, order.customer_id
    outcomes = DataRequestOutcome.FULFILLED, DataRequestOutcome.TAKEN_BACK, DataRequestOutcome.REFUSED
    for i, kind in enumerate(DataRequestKind):
        channel = list(DataRequestChannel)[i % 4]
        with store.write(STAFF[i % 2]) as uow:
            name = data_requests.open_request(
                uow, kind, "K-nobody" if i == 3 else ref, channel, recipient="another shop"
            ).request_id
            data_requests.check_identity(uow, name, "passport")
            if kind is DataRequestKind.ACCESS:
                data_requests.note_fee(uow, name, Fee.EXCESSIVE, "every week")
                data_requests.extend(uow, name, "many records")
        if i < 5:
            with store.write(STAFF[i % 2]) as uow:
                end = DataRequestOutcome.NOTHING_HELD if i == 3 else outcomes[i % 3]
                data_requests.close(uow, name, Given(end, reason="told in a letter"))
    for kind in LimitKind:
        with store.write(STAFF[0]) as uow:
            privacy.limit(uow, who, kind, "a dispute")
        with store.write(STAFF[1]) as uow:
            privacy.lift(uow, who, kind)
    with store.write(STAFF[0]) as uow:
        rectification.rectify(uow, [Correction("customers", who, "customer_ref", f"{ref}-new")], who)
    for i, basis in enumerate(DisclosureBasis):
        with store.write(STAFF[i % 2]) as uow:
            privacy.disclose(uow, f"{ref}-new", basis, f"a carrier {i}", f"C-{i}")


def _facts(facts, **changed):
    return {name: getattr(facts, name) for name in OrderFacts.__slots__} | changed


HAPPENS = (
    settled,
    refunding,
    unsettled,
    revoked,
    withdrawn,
    overridden,
    superseded,
    resolved,
    backdated,
    corrected,
    corrected_after_a_refusal,
    late,
    provided,
    issued,
    revoked,
)


class Installation(NamedTuple):
    """An installation that is no longer written to."""

    directory: Path
    database: Path
    keys: Keyring
    checkpoints: list[Checkpoint]
    earlier: Path
    """A copy of the database from half-way through."""
    sound: int
    """How often the audit found it sound as it grew."""


def access(uow):
    """Create further tokens and clients, and revoke one token."""
    for role in Role:
        clients.create_token(uow, role, role, 30)
        clients.create_token(uow, role, f"{role}, Berlin", 60)
    clients.revoke_token(uow, next(uow.tokens.with_clients())[1].token_id)


def people(uow):
    """Add users of the console, reset one password and disable a user."""
    for name in ("anna", "ben", "chris", "dora"):
        users.add(uow, name, Role.SUPERVISOR if name == "dora" else Role.AGENT)
    users.reset(uow, "ben")
    users.disable(uow, "chris")


def publish(uow, number, effective_from=None):
    """Publish another version of the vendor's policy, which judges everything here as the first does."""
    first = uow.policies["virtual-numbers"].versions[0]
    terms = replace(first.terms, vendor_name=f"Vendor {number}")
    publication.publish(uow, replace(first, version=number, effective_from=effective_from, terms=terms))


def close(uow, days, policy="virtual-numbers"):
    """Enter a closure so far away that it extends no window."""
    day = (uow.now + timedelta(days=days)).date()
    publication.close(uow, policy, day, f"Betriebsausflug {days}", f"works outing {days}")


POLICIES = (
    lambda uow: publication.import_version(uow, read_policy('policy = "brand"\nversion = 1')),
    lambda uow: publish(uow, 2),
    lambda uow: publish(uow, 3, uow.now + MONTH),
    lambda uow: publish(uow, 4, uow.now + 2 * MONTH),
    lambda uow: publication.withdraw(uow, "virtual-numbers", 3),
    lambda uow: publication.withdraw(uow, "virtual-numbers", 4),
    lambda uow: close(uow, 400),
    lambda uow: close(uow, 500),
    lambda uow: close(uow, 600, "brand"),
)
"""What happens to policies, in this order."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An installation with at least 60 orders, audited after each of them."""
    directory = tmp_path_factory.mktemp("audited")
    store = Store(settings(directory))
    _, keys = store.open()
    database, earlier = directory / "refunds.db", directory / "earlier.db"

    def keep(i):
        if i == ORDERS // 2:
            store.close()
            shutil.copy(database, earlier)

    sound = grow(store, keep)
    store.close()
    return Installation(directory, database, keys, list(store.checkpoints), earlier, sound)


def grow(store, done=lambda _: None):
    """Let everything happen that can happen, audit it after every order, and return how often it was sound."""
    sound = 0
    with store.write(COMMAND_LINE) as uow:
        clients.first_tokens(uow, 365)
    with store.write(COMMAND_LINE) as uow:
        access(uow)
    with store.write(COMMAND_LINE) as uow:
        people(uow)
    with store.write(COMMAND_LINE) as uow:
        users.disable(uow, "dora")
        anna = uow.users.by_name("anna")
        uow.users.begin_session("ses_1", anna)
        uow.users.end_session(anna.user_id, "ses_1")
        uow.users.update(anna, EventType.USER_PASSWORD_CHANGED, password_hash=f"{anna.password_hash}1")
        uow.users.end_sessions(anna.user_id)
    for i, happens in enumerate(POLICIES):
        with store.write(STAFF[i % 2]) as uow:
            happens(uow)
    stated_by_an_agent(store)
    without_an_order(store)
    limited(store)
    asked_about(store)
    counted(store)
    watch(store)
    for i in range(ORDERS):
        with store.write(STAFF[i % 2]) as uow:
            HAPPENS[i % len(HAPPENS)](uow, i)
        with store.read(COMMAND_LINE) as uow:
            uow.verify(store.checkpoints)
            sound += 1
        done(i)
    return sound


def audited(installation, database, checkpoints=None):
    """The report of the audit on a database in a file."""
    return verified(installation, SQLite(str(database)), checkpoints)


def audit_in(tx, installation, checkpoints=None):
    """The report of the audit in a transaction."""
    uow = UnitOfWork(tx, installation.keys, COMMAND_LINE, unread, ErasureLedger(Path()))
    return uow.verify(installation.checkpoints if checkpoints is None else checkpoints)


def verified(installation, engine, checkpoints=None):
    """The report of the audit on a database, whose engine is closed then."""
    try:
        with engine.read() as tx:
            return audit_in(tx, installation, checkpoints)
    except Exception as error:  # noqa: BLE001 - it is raised again
        error.__context__ = error.__cause__ = None  # their frames would keep half-read rows alive
        raise error.with_traceback(None) from None
    finally:
        engine.close()


def unread(*_):
    """Fail: the audit must not depend on the policies."""
    pytest.fail("the policies were read")


def content(database):
    """Every row of every table, by name."""
    with closing(sqlite3.connect(database)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: raw.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608 - its own tables


@cache
def untouched(database):
    """Every row of a database that is no longer changed."""
    return content(database)


# Tampering: single edits, swaps, deletions and insertions; the error must name the place of each.

TABLES = (
    *("events", "journal_head", "orders", "contacts", "cancellations", "customers", "clients", "tokens"),
    *(
        "policy_versions",
        "closures",
        "users",
        "promises",
        "unmatched_contacts",
        "limits",
        "data_requests",
        "disclosures",
        "statistics",
    ),
)
TIMES_A_COLUMN, SWAPS = scaled(1, 4), scaled(2, 12)
DELETIONS, INSERTIONS = scaled(1, 9), scaled(1, 8)
"""Four edits of each of the 104 columns, and the others in ten tables: more than 500."""

UNVOUCHED = {("users", "name"), ("users", "epoch"), ("contacts", "request_number")}
"""The columns that the journal does not cover.

Names are erased, sessions end, a restore renames the journal, and contacts of older versions get their numbers later.
"""


class Tampered(NamedTuple):
    """A change of a table: what was done, and the keys of the changed rows."""

    how: str
    keys: set[object]


class Intruder:
    """An attacker with the database file and a random seed, but without keys."""

    def __init__(self, raw, table, seed):
        self.raw, self.table, self.random = raw, table, random.Random(seed)  # noqa: S311 - it is to be repeatable
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        self.types = {name: kind for _, name, kind, *_ in raw.execute(f"PRAGMA table_info({table})")}
        self.columns = list(self.types)
        self.key = self.columns[0]
        self.count = raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608

    def rows(self, many, column=None):
        """The keys of some rows with their values of a column."""
        sql = f"SELECT {self.key}, {column or self.key} FROM {self.table} ORDER BY 1"  # noqa: S608
        return self.random.sample(self.raw.execute(sql).fetchall(), many)

    def put(self, key, column, value):
        """Write a value into a row."""
        sql = f"UPDATE {self.table} SET {column} = ? WHERE {self.key} = ?"  # noqa: S608
        assert self.raw.execute(sql, (value, key)).rowcount == 1

    def other(self, value, column):
        """A different value of the column's type."""
        made = {"INTEGER": self._number, "TEXT": self._text, "BLOB": self._bytes}[self.types[column]]
        choices = [made(value)] * 3 + [None, *(row[1] for row in self.rows(min(2, self.count), column))]
        return self.random.choice([choice for choice in choices if choice != value])

    def _number(self, value):
        return (value or 0) + self.random.choice([1, -1, 2, 1_000_000, -86_400_000_000, 2**40])

    def _text(self, value):
        i = self.random.randrange(len(value or "x"))
        return (value or "x")[:i] + self.random.choice("xyz09:") + (value or "x")[i + self.random.randrange(2) :]

    def _bytes(self, value):
        if not value:
            return self.random.randbytes(40)
        i = self.random.randrange(len(value))
        flipped = value[:i] + bytes([value[i] ^ 1 << self.random.randrange(8)]) + value[i + 1 :]
        return self.random.choice([flipped, flipped, flipped, value[:i], value + b"\0", b""])

    def edit(self, column):
        """Change the value of one column in one row."""
        ((key, value),) = self.rows(1, column)
        new = self.other(value, column)
        self.put(key, column, new)
        return Tampered(f"{column} of {key}: {value!r} became {new!r}", {key, new} if column == self.key else {key})

    def swap(self, column):
        """Swap the values of one column in two rows."""
        (a, of_a), (b, of_b) = self.rows(2, column)
        between = -99 if self.types[column] == "INTEGER" else "between"
        if column == self.key:
            for key, new in ((a, between), (b, a), (between, b)):
                self.put(key, column, new)
        else:
            for key, new in ((a, between), (b, of_a), (a, of_b)):
                self.put(key, column, new)
        return Tampered(f"{column} of {a} and {b} swapped", {a, b})

    def delete(self, _):
        """Delete a row."""
        ((key, _),) = self.rows(1)
        self.raw.execute(f"DELETE FROM {self.table} WHERE {self.key} = ?", (key,))  # noqa: S608
        return Tampered(f"{key} deleted", {key})

    def insert(self, column):
        """Insert a copy of a row with a new key and another column changed."""
        ((key, _),) = self.rows(1)
        names = ", ".join(self.columns)
        held = self.raw.execute(f"SELECT {names} FROM {self.table} WHERE {self.key} = ?", (key,)).fetchone()  # noqa: S608
        row = dict(zip(self.columns, held, strict=True))
        row[column] = self.other(row[column], column)
        row[self.key] = self.random.choice([0, self.count + 1]) if self.table == "events" else self._text(key)
        for unique in {"reference", "request_number", "name", "digest", "version", "date"} & set(self.columns) - {
            self.key
        }:
            row[unique] = self.other(row[unique], unique)
        marks = ", ".join("?" * len(row))
        self.raw.execute(f"INSERT INTO {self.table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
        return Tampered(f"{row[self.key]} inserted, as {key}", {row[self.key]})


def work_of(table, columns, varied):
    """The changes to make to a table: a method of the intruder and a column."""
    yield from (("edit", column) for column in columns for _ in range(TIMES_A_COLUMN))
    if table != "journal_head":  # it has one row
        yield from (("swap", varied[i % len(varied)]) for i in range(SWAPS))
        yield from (("insert", columns[1 + i % (len(columns) - 1)]) for i in range(INSERTIONS))
        yield from (("delete", columns[0]) for _ in range(DELETIONS))
    else:
        yield "delete", columns[0]


def tampered(installation, database, table, how, column, seed):
    """Make a change to a fresh copy, check that it took effect, and return it."""
    before = untouched(installation.database)
    for attempt in range(200):
        shutil.copy(installation.database, database)
        with closing(sqlite3.connect(database)) as raw:
            try:
                done = getattr(Intruder(raw, table, f"{table} {how} {column} {seed} {attempt}"), how)(column)
            except sqlite3.IntegrityError:
                continue  # the schema itself refuses it
            raw.commit()
        after = content(database)
        if after != before:
            assert {name for name in after if after[name] != before[name]} == {table}
            return done
    return pytest.fail(f"{table}: no {how} of {column} changes anything")


def is_not_covered(table, how, column):
    """Whether the journal does not cover a change; deleted and inserted rows are always covered."""
    return how in {"edit", "swap"} and (table, column) in UNVOUCHED


def finding(installation, database):
    """The error that the audit raises, or None if it finds nothing."""
    try:
        audited(installation, database)
    except Broken as error:
        return error
    except Exception as error:  # noqa: BLE001 - any other error is not a finding
        return error
    return None


def names_place(installation, table, done, error):
    """Whether an error names the place of a change."""
    message = str(error)
    if table == "journal_head":
        return "head" in message or "deleted" in done.how
    if table == "events":
        return message.startswith(f"position {max(1, min(key for key in done.keys if key is not None))}:")
    if table == "customers":  # named by its own id, or by one of its orders
        with closing(sqlite3.connect(installation.database)) as raw:
            found = raw.execute("SELECT order_id, customer_id FROM orders").fetchall()
        ids = done.keys | {order_id for order_id, customer_id in found if customer_id in done.keys}
        return any(str(key) in message for key in ids)
    return any(message.startswith(f"{table} {key}:") for key in done.keys)


@pytest.mark.proof
def test_the_installation_is_sound_as_it_grows_and_afterwards(installation):
    assert installation.sound == ORDERS
    for _ in range(scaled(2, 20)):
        report = audited(installation, installation.database)
    held = content(installation.database)
    assert report.events == len(held["events"]) > 250
    assert report.records == sum(
        len(held[name]) for name in TABLES if name not in {"events", "journal_head", "customers"}
    )
    assert report.checkpointed == installation.checkpoints[-1].position
    assert report.checkpointed // 100 == report.events // 100


def test_everything_has_happened_in_the_installation(installation):
    held = content(installation.database)
    with closing(sqlite3.connect(installation.database)) as raw:
        types = {name for (name,) in raw.execute("SELECT type FROM events")}
        states = {name for (name,) in raw.execute("SELECT state FROM cancellations")}
        empty = {
            (table, column)
            for table in TABLES
            for _, column, *_ in raw.execute(f"PRAGMA table_info({table})")
            if not raw.execute(f"SELECT count({column}) FROM {table}").fetchone()[0]  # noqa: S608
        }
    others = {EventType.AUDIT_ACCEPTED, EventType.AUDIT_CLOCK_CONFIRMED, EventType.CUSTOMER_ERASED, *EMPTYING}
    others |= {
        EventType.PRIVACY_EXPORTED,
        EventType.PRIVACY_EVIDENCE_SHOWN,
        EventType.PRIVACY_TABLE_EXPORTED,
        EventType.AUDIT_KEYS_ROTATED,
    }
    others |= {EventType.PRIVACY_EXPORTED, EventType.PRIVACY_EVIDENCE_SHOWN, EventType.CONTACT_DETAILS_FORGOTTEN}
    others |= {*FORGETTING, EventType.USER_FORGOTTEN, EventType.CLIENT_FORGOTTEN}
    assert types == set(EventType) - others, "which need another one"
    assert states == set(State)
    assert not empty
    assert len(held["orders"]) >= ORDERS


def work_on(installation, table):
    """The changes to make to a table of this installation; swaps need columns with different values."""
    with closing(sqlite3.connect(installation.database)) as raw:
        columns = [name for _, name, *_ in raw.execute(f"PRAGMA table_info({table})")]
        varied = [
            name
            for name in columns
            if raw.execute(f"SELECT count(DISTINCT {name}) FROM {table}").fetchone()[0] > 1  # noqa: S608
            and (table, name) != ("promises", "is_current")  # of two orders, the schema refuses it
        ]
    return columns, list(work_of(table, columns, varied))


@pytest.mark.proof
@pytest.mark.parametrize("table", TABLES)
def test_every_change_to_a_table_is_found_and_named(installation, tmp_path, table):
    database, missed, misnamed, counts = tmp_path / "refunds.db", [], [], Counter()
    columns, changes = work_on(installation, table)
    for seed, (how, column) in enumerate(changes):
        done = tampered(installation, database, table, how, column, seed)
        error = finding(installation, database)
        counts[how, column] += 1
        if is_not_covered(table, how, column):
            assert error is None, done.how
        elif not isinstance(error, Broken):
            missed.append(f"{done.how}: {error!r}")
        elif not names_place(installation, table, done, error):
            misnamed.append(f"{done.how}: {error}")
    audited(installation, installation.database)
    assert {column for how, column in counts if how == "edit"} == set(columns)
    assert not missed + misnamed, "\n".join(
        [f"{len(missed)} of {counts.total()} not found:", *missed, f"{len(misnamed)} not named:", *misnamed]
    )


@pytest.mark.proof
def test_hundreds_of_changes_are_tried(installation):
    done = [(table, *what) for table in TABLES for what in work_on(installation, table)[1]]
    assert sum(not is_not_covered(*what) for what in done) >= scaled(150, 500)


@pytest.fixture(scope="module")
def after_a_restore(installation, tmp_path_factory):
    """The installation after its state from half-way through was restored, and more happened."""
    directory = tmp_path_factory.mktemp("restored")
    shutil.copytree(installation.directory / "ledger", directory / "ledger")
    for name in ("refunds.db", "master.key"):
        shutil.copy(installation.directory / name, directory / name)
    backups.restore(settings(directory), installation.earlier, "the disk failed")
    store = Store(settings(directory))
    _, keys = store.open()
    for i, happens in enumerate(HAPPENS):
        with store.write(STAFF[i % 2]) as uow:
            happens(uow, 3000 + i)
    store.checkpoint()
    store.close()
    return installation._replace(
        directory=directory, database=directory / "refunds.db", keys=keys, checkpoints=list(store.checkpoints)
    )


def missed_in(installation, database, table, how, column, seed):
    """What was done to a copy if the audit does not find and name it, else None."""
    if how == "cut":
        shutil.copy(installation.database, database)
        position = random.Random(seed).randrange(installation.checkpoints[-1].position)  # noqa: S311
        cut(database, position, move_head=seed % 2 == 0)
        if seed % 4 == 0:  # and the end is to look as it did before the restore
            with closing(sqlite3.connect(database)) as raw:
                raw.execute("UPDATE journal_head SET journal_id = ?", (installation.checkpoints[0].journal,))
                raw.commit()
        return None if isinstance(finding(installation, database), Broken) else f"cut at {position}"
    done = tampered(installation, database, table, how, column, seed)
    error = finding(installation, database)
    found = isinstance(error, Broken) and names_place(installation, table, done, error)
    return None if found else f"{done.how}: {error!r}"


@pytest.mark.proof
def test_after_an_accepted_restore_every_change_is_found_still(after_a_restore, tmp_path, record_property):
    report = audited(after_a_restore, after_a_restore.database)
    assert report.checkpointed == report.events
    assert {one.accepted for one in after_a_restore.checkpoints} == {None, "restored earlier.db: the disk failed"}
    changes = [(table, *what) for table in TABLES for what in work_on(after_a_restore, table)[1]]
    changes = [what for what in changes if not is_not_covered(*what)] + [("events", "cut", "")] * 60
    tried = random.Random(7).sample(changes, scaled(20, 500))  # noqa: S311
    lost = [
        missed
        for seed, what in enumerate(tried)
        if (missed := missed_in(after_a_restore, tmp_path / "refunds.db", *what, seed))
    ]
    assert not lost, "\n".join([f"{len(lost)} of {len(tried)} not found or not named:", *lost])
    record_property("measured", f"{len(tried)} changes after a restore, all found")


def test_the_journal_covers_everything_about_a_user_except_name_and_epoch():
    assert {("users", field.name) for field in fields(User) if field.metadata.get("not_digested")} == {
        one for one in UNVOUCHED if one[0] == "users"
    }


ORPHAN = "'cus_nobody', NULL, policy, NULL, 0, 0, 0, 'x', 1, NULL, NULL, NULL, NULL FROM orders LIMIT 1"


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        # The order of several requests about an order: two first ones, and none.
        ("UPDATE contacts SET requests_before = 0 WHERE requests_before > 0", "contacts con_"),
        ("UPDATE contacts SET requests_before = requests_before + 1 WHERE requests_before > 0", "contacts con_"),
        # Values that are read as the original ones.
        ("UPDATE contacts SET is_open = 2 WHERE is_open = 1", "contacts con_"),
        ("UPDATE contacts SET is_open = 'no' WHERE is_open = 1", "contacts con_"),
        ("UPDATE tokens SET secret_digest = lower(hex(secret_digest))", "tokens "),
        ("UPDATE cancellations SET reference = unhex(reference)", "cancellations can_"),
        ("UPDATE events SET previous = 32 WHERE position = 1", "position 1:"),
        ("UPDATE events SET at = at + 0.25 WHERE position = 7", "position 7:"),
        # Values of another type.
        ("UPDATE events SET actor = CAST(actor AS BLOB) WHERE position = 7", "position 7:"),
        ("UPDATE events SET data = CAST(data AS BLOB) WHERE position = 7", "position 7:"),
        ("UPDATE events SET at = 'soon' WHERE position = 7", "position 7:"),
        ("UPDATE events SET hash = hex(hash) WHERE position = 7", "position 7:"),
        ("UPDATE events SET digest = 1000000000000000000 WHERE position = 7", "position 7:"),
        ("UPDATE journal_head SET hash = hex(hash)", "head"),
        ("UPDATE journal_head SET hash = 5", "head"),
        ("UPDATE journal_head SET position = 'last'", "head"),
        ("UPDATE journal_head SET policies_at = 'last'", "head"),
        ("UPDATE closures SET reason_de = 'Betriebsausflug'", "closures "),
        ("UPDATE closures SET reason_en = 5", "closures "),
        ("UPDATE policy_versions SET terms = 'no JSON'", "policy_versions "),
        ("UPDATE policy_versions SET imported = 2 WHERE imported = 1", "policy_versions "),
        ("UPDATE users SET name = CAST(name AS BLOB) WHERE name = 'anna'", "users usr_"),
        ("UPDATE users SET epoch = 'first' WHERE name = 'anna'", "users usr_"),
        ("UPDATE users SET epoch = epoch + 0.5 WHERE name = 'anna'", "users usr_"),
        ("UPDATE users SET disabled_at = NULL WHERE name = 'chris'", "users usr_"),
        ("UPDATE orders SET customer_ref = 'K-1' WHERE order_id = 'A-0003'", "orders A-0003:"),
        ("UPDATE orders SET customer_ref = 5 WHERE order_id = 'A-0003'", "orders A-0003:"),
        ("UPDATE customers SET wrapped_key = hex(wrapped_key)", "cus_"),
        ("UPDATE customers SET wrapped_key = 5", "cus_"),
        ("UPDATE contacts SET note = 'a note' WHERE note IS NOT NULL", "contacts con_"),
        ("UPDATE unmatched_contacts SET wrapped_key = NULL WHERE is_open = 1", "unmatched_contacts unm_"),
        ("UPDATE unmatched_contacts SET wrapped_key = x'00' WHERE contact_id IS NOT NULL", "unmatched_contacts unm_"),
        ("UPDATE unmatched_contacts SET order_hint = note WHERE is_open = 1", "unmatched_contacts unm_"),
        # Invalid texts.
        ("UPDATE orders SET policy = CAST(x'ff' AS TEXT) WHERE order_id = 'A-0003'", "orders"),
        ("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE position = 7", "position "),  # the driver reads ahead
        ("UPDATE contacts SET decision = 'no JSON'", "contacts con_"),
        # Rows that nothing refers to.
        ("INSERT INTO customers VALUES ('cus_nobody', x'00', x'00')", "customers cus_nobody:"),
        (f"INSERT INTO orders SELECT 'A-9999', {ORPHAN}", "orders A-9999:"),
        ("UPDATE contacts SET order_id = 'A-9999'", "contacts con_"),
        ("DELETE FROM customers", "is missing"),
        ("DELETE FROM journal_head", "head"),
        ("DELETE FROM tokens", "tokens "),
        ("DELETE FROM closures", "is missing"),
        ("DELETE FROM policy_versions", "is missing"),
    ],
)
def test_a_change_by_an_expert_is_found_too(installation, tmp_path, sql, named):
    database = tmp_path / "refunds.db"
    shutil.copy(installation.database, database)
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute(sql).rowcount > 0
        raw.commit()
    with pytest.raises(Broken) as broken:
        audited(installation, database)
    assert not isinstance(broken.value, Shortened)
    assert named in str(broken.value)


# Truncation.


def cut(database, position, *, move_head):
    """Truncate the journal after a position."""
    with closing(sqlite3.connect(database)) as raw:
        raw.execute("DELETE FROM events WHERE position > ?", (position,))
        if move_head:
            last = raw.execute("SELECT hash FROM events WHERE position = ?", (position,)).fetchone() or (GENESIS,)
            raw.execute("UPDATE journal_head SET position = ?, hash = ?", (position, *last))
        raw.commit()


@pytest.mark.parametrize("move_head", [True, False])
def test_a_journal_that_is_truncated_before_its_last_checkpoint_is_reported_as_shortened(
    installation, tmp_path, move_head
):
    checkpointed = installation.checkpoints[-1].position
    positions = {0, 1, 99, 100, 101, checkpointed - 1, *random.Random(1).sample(range(checkpointed), 20)}  # noqa: S311
    for position in sorted(positions):
        shutil.copy(installation.database, tmp_path / "refunds.db")
        cut(tmp_path / "refunds.db", position, move_head=move_head)
        with pytest.raises(Shortened) as shortened:
            audited(installation, tmp_path / "refunds.db")
        assert str(shortened.value) == (
            f"position {position}: the journal ends here, but has a checkpoint at {checkpointed}"
        )


@pytest.mark.parametrize("move_head", [True, False])
def test_a_journal_that_is_truncated_at_its_last_checkpoint_does_not_match_its_records(
    installation, tmp_path, move_head
):
    shutil.copy(installation.database, tmp_path / "refunds.db")
    cut(tmp_path / "refunds.db", installation.checkpoints[-1].position, move_head=move_head)
    with pytest.raises(Broken) as broken:
        audited(installation, tmp_path / "refunds.db")
    assert not isinstance(broken.value, Shortened)


def test_an_earlier_copy_of_the_database_is_reported_as_shortened(installation):
    with pytest.raises(Shortened):
        audited(installation, installation.earlier)
    position = audited(installation, installation.earlier, []).events
    then = [checkpoint for checkpoint in installation.checkpoints if checkpoint.position <= position]
    assert audited(installation, installation.earlier, then).checkpointed == then[-1].position


def test_a_rewritten_journal_does_not_match_its_checkpoint(installation):
    last = installation.checkpoints[-1]
    with pytest.raises(Broken, match=f"^position {last.position}: this is not the event of the checkpoint"):
        audited(installation, installation.database, [last._replace(hash=bytes(32))])


def test_checkpoints_are_written_every_hundred_positions(installation):
    held = {row[0]: row[-1] for row in content(installation.database)["events"]}
    first, *later = installation.checkpoints
    assert (first.position, first.hash) == (0, GENESIS)
    assert [checkpoint.position // 100 for checkpoint in later] == list(range(1, len(later) + 1))
    assert [held[checkpoint.position] for checkpoint in later] == [checkpoint.hash for checkpoint in later]


# The command.


def audit_command(directory, database=None, *options):
    """Run `flask audit verify` on the records in a directory or database; its exit code and output."""
    app = create_app(settings(directory, database=database or f"sqlite:///{directory}/refunds.db"))
    app.cli = Commands(app.name)
    done = app.test_cli_runner().invoke(args=["audit", "verify", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def copied(installation, tmp_path):
    """The directory of a copy of the whole installation."""
    for name in ("refunds.db", "master.key"):
        shutil.copy(installation.directory / name, tmp_path / name)
    shutil.copytree(installation.directory / "ledger", tmp_path / "ledger")
    return tmp_path


def test_the_command_exits_with_0_if_everything_is_sound(installation, copied):
    report = audited(installation, installation.database)
    first_line = f"Sound: {report.events} events, {report.records} records in {copied}/refunds.db."
    assert audit_command(copied) == (
        0,
        f"{first_line}\nNot yet in a checkpoint: {report.events - report.checkpointed} events.\n",
        "",
    )


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("UPDATE events SET actor = 'cli_nobody' WHERE position = 42", "position 42: the journal is broken here\n"),
        (
            "UPDATE orders SET revision = 9 WHERE order_id = 'A-0003'",
            "orders A-0003: differs from the journal\n",
        ),
        ("UPDATE journal_head SET hash = hex(hash)", "head"),
        ("UPDATE policy_versions SET terms = 'no JSON' WHERE policy = 'brand'", "policy_versions brand/1: "),
    ],
)
def test_the_command_exits_with_20_if_a_record_was_changed(copied, sql, finding):
    with closing(sqlite3.connect(copied / "refunds.db")) as raw:
        raw.execute(sql)
        raw.commit()
    code, out, err = audit_command(copied, None, "--first")
    assert (code, out) == (20, "")
    assert finding in err
    assert "Traceback" not in err
    code, listed, err_of_list = audit_command(copied)
    assert (code, err_of_list) == (20, "")
    assert listed.startswith(err), "the first fault is the same"


def test_the_command_exits_with_21_if_the_journal_was_truncated(installation, copied):
    cut(copied / "refunds.db", 50, move_head=True)
    checkpointed = installation.checkpoints[-1].position
    assert audit_command(copied, None, "--first") == (
        21,
        "",
        f"position 50: the journal ends here, but has a checkpoint at {checkpointed}\n",
    )


# The list of faults.


def listed(installation, engine, checkpoints=None):
    """Every fault that the audit lists, as text, and its report; the engine is closed then."""
    report = Report()
    try:
        with engine.read() as tx:
            uow = UnitOfWork(tx, installation.keys, COMMAND_LINE, unread, ErasureLedger(Path()))
            found = uow.faults(installation.checkpoints if checkpoints is None else checkpoints, report)
            return [str(fault) for fault in found], report
    finally:
        engine.close()


def listed_after(installation, database, *statements):
    """The faults of a copy in which these statements were run."""
    shutil.copy(installation.database, database)
    with closing(sqlite3.connect(database)) as raw:
        for sql in statements:
            assert raw.execute(sql).rowcount > 0, sql
        raw.commit()
    return listed(installation, SQLite(str(database)))[0]


def places(lines):
    """The places that faults name; a position for each event that is missing."""
    found = set()
    for line in lines:
        place, _, text = line.partition(": ")
        missing = re.match(r"(\d+) events are missing", text)
        found.add(place)
        if missing:
            first = int(place.removeprefix("position "))
            found |= {f"position {position}" for position in range(first, first + min(int(missing[1]), 1000))}
    return found


DERIVED = {
    (mapper.name, field.name)
    for mapper in (kind.mapper for kind in RECORDS)
    for field in fields(mapper.record)
    if field.metadata.get("not_digested")
}
"""Columns that are compared with other records, so that two changes can agree with each other."""


def changed_at_random(installation, database, seed, many):
    """Make independent changes to different rows of one copy, and return each with its table."""
    shutil.copy(installation.database, database)
    chance, done, taken = random.Random(seed), [], set()  # noqa: S311 - it is to be repeatable
    with closing(sqlite3.connect(database)) as raw:
        raw.isolation_level = None
        raw.execute("PRAGMA foreign_keys = OFF")
        while len(done) < many:
            table = chance.choice([table for table in TABLES if table not in {"customers", "journal_head"}])
            how, column = chance.choice(work_on(installation, table)[1])
            if (table, column) in DERIVED | UNVOUCHED and how in {"edit", "swap"}:
                continue
            intruder = Intruder(raw, table, f"{seed} {chance.random()}")
            before = raw.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - ours
            raw.execute("SAVEPOINT one")
            try:
                one = getattr(intruder, how)(column)
                rows = {(table, key) for key in one.keys if key is not None}
            except (sqlite3.IntegrityError, AssertionError):  # refused, or a key that another change has emptied
                rows = taken
            if rows & taken or raw.execute(f"SELECT * FROM {table}").fetchall() == before:  # noqa: S608 - ours
                raw.execute("ROLLBACK TO one")
                raw.execute("RELEASE one")
                continue
            raw.execute("RELEASE one")
            taken |= rows
            done.append((table, one, rows))
    return done


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(scaled(6, 60)))
def test_each_of_several_independent_changes_is_listed_with_its_place(installation, tmp_path, seed):
    """Deleted, inserted, swapped and edited rows of records and events, twelve at once."""
    database = tmp_path / "refunds.db"
    done = changed_at_random(installation, database, seed, 12)
    lines, _ = listed(installation, SQLite(str(database)))
    named, missed = places(lines), []
    for table, one, rows in done:
        at = {f"position {max(1, key)}" if table == "events" else f"{table} {key}" for _, key in rows}
        if (at - named) if one.how.endswith("swapped") else not (at & named):
            missed.append(f"{table}: {one.how}")
    assert not missed, "\n".join([*missed, "listed:", *lines])
    once = [line for line in lines if " None: " not in line]  # several rows can have lost their keys
    assert len(once) == len(set(once))


def test_hundreds_of_faults_are_all_listed(installation, tmp_path):
    held = content(installation.database)
    lines = listed_after(
        installation,
        tmp_path / "refunds.db",
        "UPDATE events SET actor = 'cli_nobody' WHERE position % 2 = 1",
        "UPDATE contacts SET received_at = received_at + 1",
        "UPDATE orders SET revision = revision + 1",
    )
    broken = [f"position {row[0]}: the journal is broken here" for row in held["events"] if row[0] % 2]
    assert lines[: len(broken)] == broken
    for table in ("contacts", "orders"):
        ids = sorted(row[0] for row in held[table])
        assert [line for line in lines if line.startswith(f"{table} ")] == [
            f"{table} {one}: differs from the journal" for one in ids
        ]
    assert len(lines) > 300


KEPT_LAST = "(SELECT max(position) FROM events WHERE type = 'calendar.changed')"
"""An event about no record, so that its loss changes no record."""


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["UPDATE events SET hash = randomblob(32) WHERE position = {at}"], ["{at}: the journal is broken here"]),
        (["UPDATE events SET previous = randomblob(32) WHERE position = {at}"], ["{at}: the journal is broken here"]),
        (["UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE position = {at}"], ["{at}: the journal is broken here"]),
        (["DELETE FROM events WHERE position = {at}"], ["{at}: the event is missing"]),
        (
            ["UPDATE events SET position = 9000 WHERE position = {at}"],
            [
                "{at}: the event is missing",
                "{next}: {far} events are missing from here on",
                "9000: the journal is broken here",
            ],
        ),
        (
            [
                "INSERT INTO events SELECT -5, type, at, actor, subject, order_id, data, digest, previous, hash FROM events WHERE position = {at}"
            ],
            ["1: the journal is broken here"],
        ),
        (
            [
                "INSERT INTO events SELECT {next}, type, at, actor, subject, order_id, data, digest, previous, hash FROM events WHERE position = {at}"
            ],
            ["{next}: the journal is broken here"],
        ),
    ],
)
def test_a_fault_of_the_journal_is_said_once_and_the_rest_is_compared(installation, tmp_path, statements, named):
    """Another fault before it and one after it are found as well."""
    with closing(sqlite3.connect(installation.database)) as raw:
        (at,), (last,) = raw.execute(f"SELECT {KEPT_LAST}"), raw.execute("SELECT max(position) FROM events")
    values = {"at": at[0], "next": last[0] + 1, "far": 9000 - last[0] - 1}
    statements = [sql.format(**values) for sql in statements]
    expected = [f"position {one}".format(**values) for one in named]
    assert listed_after(installation, tmp_path / "refunds.db", *statements) == expected
    others = [
        "UPDATE orders SET revision = 9 WHERE order_id = 'A-0003'",
        "UPDATE clients SET name = 'x' WHERE name = 'agent'",
    ]
    more = listed_after(installation, tmp_path / "refunds.db", *statements, *others)
    assert more[: len(expected)] == expected
    assert [line.split()[0] for line in more[len(expected) :]] == ["clients", "orders"]


def test_an_event_of_another_history_is_listed_where_the_chain_leaves_it(installation, tmp_path):
    """It is sound by itself, because the service wrote it, but not after the event before it."""
    shutil.copy(installation.database, tmp_path / "refunds.db")
    engine = SQLite(str(tmp_path / "refunds.db"))
    with engine.write() as tx:
        head = events.head(tx)
        row = events.EVENTS.load(tx.one("SELECT * FROM events WHERE position = :at", at=head.position), NO_ACCESS)
        entry = Entry(type=row.type, subject=row.subject, order_id=row.order_id, digest=row.digest, data={})
        other = chained(entry, installation.keys.audit, row.at, row.actor, position=head.position, previous=bytes(32))
        tx.run("DELETE FROM events WHERE position = :at", at=head.position)
        events.append(tx, [other], head)
    assert listed(installation, engine)[0] == [f"position {head.position}: the journal is broken here"]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE customers SET wrapped_key = x'00'", "not an encrypted value: 1|customers|wrapped_key|{}"),
        ("DELETE FROM customers", "the record is missing"),
    ],
)
def test_a_customer_whose_key_is_gone_is_listed_once(installation, tmp_path, statement, fault):
    """Nothing of theirs can be decrypted then; what the journal vouches for is compared all the same."""
    with closing(sqlite3.connect(installation.database)) as raw:
        sql = "SELECT customer_id, min(order_id), count(*) FROM orders GROUP BY customer_id ORDER BY 3 DESC LIMIT 1"
        customer_id, order_id, count = raw.execute(sql).fetchone()
    assert count > 1
    lines = listed_after(
        installation,
        tmp_path / "refunds.db",
        f"{statement} WHERE customer_id = '{customer_id}'",
        f"UPDATE orders SET revision = 9 WHERE order_id = '{order_id}'",  # noqa: S608
    )
    assert lines == [
        f"orders {order_id}: differs from the journal",
        f"customers {customer_id}: {fault.format(customer_id)}",
    ]


@pytest.mark.parametrize("column", ["policy", "order_id"])
def test_a_text_that_is_not_utf_8_does_not_end_the_list(installation, tmp_path, column):
    lines = listed_after(
        installation,
        tmp_path / "refunds.db",
        f"UPDATE orders SET {column} = CAST(x'ff' AS TEXT) WHERE order_id = 'A-0003'",  # noqa: S608
        "UPDATE orders SET revision = 9 WHERE order_id IN ('A-0002', 'A-0004', 'A-0050')",
        "UPDATE tokens SET created_at = 1 WHERE token_id = (SELECT min(token_id) FROM tokens)",
    )
    named = places(lines)
    assert named >= {f"orders {order_id}" for order_id in ("A-0002", "A-0003", "A-0004", "A-0050")}
    assert any(place.startswith("tokens ") for place in named)


def test_a_journal_that_was_cut_short_is_listed_with_the_records_that_outlived_their_events(installation, tmp_path):
    shutil.copy(installation.database, tmp_path / "refunds.db")
    cut(tmp_path / "refunds.db", 50, move_head=False)
    lines, report = listed(installation, SQLite(str(tmp_path / "refunds.db")))
    checkpointed = installation.checkpoints[-1].position
    assert lines[:2] == [
        f"position 50: the journal ends here, but has a checkpoint at {checkpointed}",
        "position 51: the journal does not end where its head says",
    ]
    with closing(sqlite3.connect(installation.database)) as raw:
        sql = "SELECT DISTINCT subject, type FROM events WHERE position > 50"
        later = {subject for subject, kind in raw.execute(sql) if kind not in WITHOUT_RECORD}
    assert {line.split()[1].rstrip(":") for line in lines[2:]} == later
    assert (report.events, report.checkpointed) == (50, checkpointed)


def test_the_command_exits_with_21_if_the_journal_is_only_shorter(installation, copied):
    """An earlier copy is sound but for that; with a record edited it is not."""
    shutil.copy(installation.earlier, copied / "refunds.db")
    report = audited(installation, installation.earlier, [])
    short = f"the journal ends here, but has a checkpoint at {installation.checkpoints[-1].position}"
    ending = f"Compared: {report.events} events, {report.records} records in {copied}/refunds.db.\n"
    lines = f"position {report.events}: {short}\n1 fault.\n{ending}"
    assert audit_command(copied) == (21, lines, "")
    with closing(sqlite3.connect(copied / "refunds.db")) as raw:
        raw.execute("UPDATE orders SET revision = 9 WHERE order_id = 'A-0003'")
        raw.commit()
    lines = f"position {report.events}: {short}\norders A-0003: differs from the journal\n2 faults.\n{ending}"
    assert audit_command(copied) == (20, lines, "")


def test_the_command_speaks_german(installation, copied):
    report = audited(installation, installation.database)
    count = f"{report.events} Ereignisse, {report.records} Datensätze in {copied}/refunds.db."
    left = f"Noch in keinem Prüfpunkt: {report.events - report.checkpointed} Ereignisse."
    assert audit_command(copied, None, "--lang", "de") == (0, f"Unverändert: {count}\n{left}\n", "")
    with closing(sqlite3.connect(copied / "refunds.db")) as raw:
        raw.execute("UPDATE events SET actor = 'cli_nobody' WHERE position = 42")
        raw.execute("DELETE FROM users WHERE name = 'anna'")
        raw.execute("UPDATE closures SET reason_de = reason_en")
        raw.commit()
    code, out, err = audit_command(copied, None, "--lang", "de")
    assert (code, err) == (20, "")
    assert "Position 42: hier ist das Journal beschädigt\n" in out
    assert re.search(r"^users usr_\w+: der Datensatz fehlt$", out, re.MULTILINE)
    assert re.search(r"^closures .*: lässt sich nicht entschlüsseln: 1\|closures\|reason_de\|", out, re.MULTILINE)
    assert f"Verglichen: {count.replace(str(report.records), str(report.records - 1))}" in out
    assert audit_command(copied, None, "--lang", "de", "--first")[2] == "Position 42: hier ist das Journal beschädigt\n"


def test_every_sentence_of_the_audit_is_in_both_languages():
    texts = re.findall(r'Message\("([^"]+)"', Path(audit.__file__).read_text(encoding="utf-8"))
    assert len(texts) >= 15
    with speaking("de"):
        same = [text for text in texts if translate(text) == text and text != "%(place)s: %(fault)s"]
    assert not same


# On PostgreSQL: fewer of the same cases, as the audit is the same.


class OnServer(NamedTuple):
    """An installation that is no longer written to, whose records are on a server."""

    directory: Path
    url: str
    keys: Keyring
    checkpoints: list[Checkpoint]
    sound: int
    """How often the audit found it sound as it grew."""


@pytest.fixture(scope="module")
def on_server(tmp_path_factory):
    """The same installation on a server."""
    directory = tmp_path_factory.mktemp("on_server")
    url = database_of(directory, "postgresql")
    store = Store(settings(directory, database=url))
    _, keys = store.open()
    sound = grow(store)
    store.close()
    yield OnServer(directory, url, keys, list(store.checkpoints), sound)
    shared().drop(url)


@pytest.fixture
def another(on_server):
    """The URL of a copy of the database on the server."""
    name = f"copy_{secrets.token_hex(8)}"
    copy = composed.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(on_server.url, autocommit=True) as connection:
        connection.execute(copy.format(composed.Identifier(name), composed.Identifier(connection.info.dbname)))
    yield shared().url(name)
    shared().drop(shared().url(name))


def tampered_with(url, *statements):
    """Run statements in one transaction, and return an engine for the database."""
    engine = PostgreSQL(url)
    with engine.write() as tx:
        tamper(tx, *statements)
    return engine


def audit_with(on_server, *statements):
    """Audit the database after some statements, which the finding rolls back."""
    with closing(PostgreSQL(on_server.url)) as engine, engine.write() as tx:
        tamper(tx, *statements)
        audit_in(tx, on_server)


def tamper(tx, *statements):
    """Run statements, each of which changes something."""
    for sql in statements:
        assert tx.run(re.sub(r"flipped\((\w+)\)", FLIPPED, sql)) > 0, sql


FLIPPED = r"set_byte(\1, octet_length(\1) - 1, get_byte(\1, octet_length(\1) - 1) # 1)"
"""Bytes with the last bit flipped."""


def cut_on_server(url, position, *, move_head):
    """Truncate the journal after a position, and return an engine for the database."""
    engine = PostgreSQL(url)
    with engine.write() as tx:
        tx.run("DELETE FROM events WHERE position > :position", position=position)
        if move_head:
            last = tx.one("SELECT hash FROM events WHERE position = :position", position=position)
            given = {"position": position, "hash": last["hash"] if last else GENESIS}
            tx.run("UPDATE journal_head SET position = :position, hash = :hash", **given)
    return engine


def test_the_same_installation_is_sound_on_a_server(installation, on_server):
    assert on_server.sound == ORDERS
    report = verified(on_server, PostgreSQL(on_server.url))
    assert report == audited(installation, installation.database)
    assert report.checkpointed == on_server.checkpoints[-1].position


ADDED = "type, at, actor, subject, order_id, data, digest, previous, hash FROM events WHERE position = 7"
COPIED = f"INSERT INTO events SELECT (SELECT max(position) + 1 FROM events), {ADDED}"  # noqa: S608 - stands above
COPIED_USER = "role, password_hash, epoch, registered_at, disabled_at FROM users WHERE name = 'anna'"
OTHERS = "UPDATE orders SET customer_ref = (SELECT customer_ref FROM orders WHERE order_id = 'A-0006')"


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        # A plain column.
        (["UPDATE orders SET policy = 'another' WHERE order_id = 'A-0003'"], "orders A-0003:"),
        (["UPDATE orders SET region = NULL WHERE order_id = 'A-0004'"], "orders A-0004:"),
        (["UPDATE contacts SET is_open = 1 - is_open"], "contacts con_"),
        (["UPDATE contacts SET requests_before = 0 WHERE requests_before > 0"], "contacts con_"),
        (
            ["UPDATE cancellations SET state = 'issued', settled_at = NULL WHERE state = 'settled'"],
            "cancellations can_",
        ),
        (["UPDATE cancellations SET overdue_at = overdue_at + 1"], "cancellations can_"),
        (["UPDATE clients SET role = 'admin' WHERE role <> 'admin'"], "clients cli_"),
        (["UPDATE tokens SET expires_at = expires_at + 86400000000"], "tokens "),
        (["UPDATE tokens SET revoked_at = NULL WHERE revoked_at IS NOT NULL"], "tokens "),
        (["UPDATE policy_versions SET effective_from = effective_from - 1"], "policy_versions virtual-numbers/"),
        (["UPDATE policy_versions SET terms = replace(terms, 'mon', 'sat')"], "policy_versions "),
        (["UPDATE policy_versions SET withdrawn_at = NULL WHERE version = 3"], "policy_versions virtual-numbers/3:"),
        (["UPDATE closures SET entered_at = entered_at + 1"], "closures "),
        (["UPDATE closures SET date = '2030-01-01' WHERE policy = 'brand'"], "closures brand/"),
        (["UPDATE users SET role = 'admin' WHERE name = 'anna'"], "users usr_"),
        (["UPDATE users SET disabled_at = NULL WHERE name = 'chris'"], "users usr_"),
        (["UPDATE users SET password_hash = reverse(password_hash) WHERE name = 'ben'"], "users usr_"),
        # An encrypted column.
        (["UPDATE closures SET reason_de = flipped(reason_de)"], "closures "),
        (["UPDATE closures SET reason_de = reason_en"], "closures "),
        (["UPDATE contacts SET note = flipped(note) WHERE note IS NOT NULL"], "contacts con_"),
        (["UPDATE contacts SET note = from_detail WHERE note IS NOT NULL"], "contacts con_"),
        (["UPDATE contacts SET ticket_ref = NULL WHERE ticket_ref IS NOT NULL"], "contacts con_"),
        ([f"{OTHERS} WHERE order_id = 'A-0003'"], "orders A-0003:"),
        (["UPDATE customers SET wrapped_key = flipped(wrapped_key)"], "cus_"),
        # The journal.
        (["UPDATE events SET actor = 'cli_nobody' WHERE position = 42"], "position 42:"),
        (["UPDATE events SET at = at + 1 WHERE position = 42"], "position 42:"),
        (["UPDATE events SET data = data || ' ' WHERE position = 42"], "position 42:"),
        (["UPDATE events SET digest = hash WHERE position = 42"], "position 42:"),
        (["UPDATE events SET hash = flipped(hash) WHERE position = 42"], "position 42:"),
        (["UPDATE events SET data = 'no JSON' WHERE position = 42"], "position 42:"),
        (["DELETE FROM events WHERE position = 42"], "position 42:"),
        (["DELETE FROM events WHERE position = 1"], "position 1:"),
        ([f"INSERT INTO events SELECT 0, {ADDED}"], "position 1:"),
        ([COPIED], "position "),
        (
            [
                "UPDATE events SET position = -1 WHERE position = 42",
                "UPDATE events SET position = 42 WHERE position = 43",
                "UPDATE events SET position = 43 WHERE position = -1",
            ],
            "position 42:",
        ),
        # The head of the journal.
        (["UPDATE journal_head SET position = position - 1"], "head"),
        (["UPDATE journal_head SET position = position + 1"], "head"),
        (["UPDATE journal_head SET policies_at = policies_at - 1"], "head"),
        (["UPDATE journal_head SET hash = flipped(hash)"], "head"),
        (["DELETE FROM journal_head"], "head"),
        # Deleted and inserted rows.
        (["DELETE FROM tokens"], "tokens "),
        (["DELETE FROM closures WHERE policy = 'brand'"], "closures brand/"),
        (["DELETE FROM policy_versions WHERE version = 4"], "policy_versions virtual-numbers/4:"),
        (["DELETE FROM users WHERE name = 'anna'"], "users usr_"),
        ([f"INSERT INTO users SELECT user_id || '0', 'eve', {COPIED_USER}"], "users usr_"),
        (["DELETE FROM cancellations"], "is missing"),
        (
            ["DELETE FROM cancellations WHERE cancellation_id = (SELECT min(cancellation_id) FROM cancellations)"],
            "can_",
        ),
        ([f"INSERT INTO orders SELECT 'A-9999', {ORPHAN.replace('cus_nobody', 'cus_new')}"], "orders A-9999:"),
        (["INSERT INTO customers VALUES ('cus_nobody', '', '')"], "customers cus_nobody:"),
        (["UPDATE cancellations SET cancellation_id = cancellation_id || '0'"], "cancellations can_"),
    ],
)
def test_every_change_on_a_server_is_found_and_named(on_server, statements, named):
    if any("cus_new" in sql for sql in statements):  # on a server an order must have a customer
        statements = ["INSERT INTO customers VALUES ('cus_new', '', '')", *statements]
    with pytest.raises(Broken) as broken:
        audit_with(on_server, *statements)
    assert not isinstance(broken.value, Shortened)
    assert named in str(broken.value)


def test_every_change_on_a_server_is_listed(on_server, another):
    statements = [
        "DELETE FROM events WHERE position = 42",
        "UPDATE events SET actor = 'cli_nobody' WHERE position = 77",
        "UPDATE orders SET policy = 'another' WHERE order_id = 'A-0003'",
        "UPDATE contacts SET note = flipped(note) WHERE note IS NOT NULL",
        "UPDATE customers SET wrapped_key = flipped(wrapped_key) WHERE customer_id = (SELECT min(customer_id) FROM customers)",
        "DELETE FROM closures WHERE policy = 'brand'",
        "UPDATE journal_head SET hash = flipped(hash)",
    ]
    lines, report = listed(on_server, tampered_with(another, *statements))
    named = places(lines)
    assert named >= {"position 42", "position 77", "orders A-0003", f"position {report.events + 1}"}
    assert {place.split()[0] for place in named} >= {"contacts", "customers", "closures"}
    assert lines[:2] == ["position 42: the event is missing", "position 77: the journal is broken here"]


def test_erased_names_and_ended_sessions_on_a_server_are_not_reported(on_server, another):
    sound = verified(on_server, PostgreSQL(another))
    assert verified(on_server, tampered_with(another, "UPDATE users SET name = NULL, epoch = epoch + 1")) == sound


@pytest.mark.parametrize("move_head", [True, False])
def test_a_truncated_journal_on_a_server_is_reported_as_shortened(on_server, another, move_head):
    checkpointed = on_server.checkpoints[-1].position
    for position in (checkpointed - 1, 101, 100, 1, 0):
        with pytest.raises(Shortened) as shortened:
            verified(on_server, cut_on_server(another, position, move_head=move_head))
        assert (
            str(shortened.value)
            == f"position {position}: the journal ends here, but has a checkpoint at {checkpointed}"
        )


@pytest.mark.parametrize("move_head", [True, False])
def test_a_journal_on_a_server_that_is_truncated_at_its_last_checkpoint_does_not_match(on_server, another, move_head):
    with pytest.raises(Broken) as broken:
        verified(on_server, cut_on_server(another, on_server.checkpoints[-1].position, move_head=move_head))
    assert not isinstance(broken.value, Shortened)


def test_the_command_behaves_the_same_for_a_server_and_a_file(on_server, another):
    report = verified(on_server, engine := PostgreSQL(another))
    found = f"Sound: {report.events} events, {report.records} records in {engine.name}."
    left = f"Not yet in a checkpoint: {report.events - report.checkpointed} events."
    assert audit_command(on_server.directory, another) == (0, f"{found}\n{left}\n", "")
    tampered_with(another, "UPDATE orders SET revision = 9 WHERE order_id = 'A-0003'").close()
    finding = "orders A-0003: differs from the journal\n"
    assert audit_command(on_server.directory, another, "--first") == (20, "", finding)
    listed = f"{finding}1 fault.\nCompared: {found.removeprefix('Sound: ')}\n"
    assert audit_command(on_server.directory, another) == (20, listed, "")
    cut_on_server(another, 50, move_head=True).close()
    finding = f"position 50: the journal ends here, but has a checkpoint at {on_server.checkpoints[-1].position}\n"
    assert audit_command(on_server.directory, another, "--first") == (21, "", finding)


def test_both_findings_are_errors_of_the_service_with_their_own_exit_codes():
    assert (Broken.exit_code, Shortened.exit_code) == (20, 21)
    assert issubclass(Shortened, Broken)
    assert issubclass(Broken, RefundsError)


def test_a_journal_that_was_truncated_and_grew_past_its_checkpoint_is_found(installation):
    """The second checkpoint at the same position has another hash."""
    last = installation.checkpoints[-1]
    again = [*installation.checkpoints[:-1], last._replace(hash=bytes(32)), last]
    with pytest.raises(Broken, match=f"^position {last.position}: two checkpoints differ"):
        audited(installation, installation.database, again)


def test_a_line_cut_short_by_a_full_disk_does_not_affect_the_others(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    first, second = (Checkpoint(position, bytes(32), datetime(2026, 4, 8, tzinfo=UTC)) for position in (100, 200))
    checkpoints.append(first)
    with checkpoints.file.open("ab") as file:
        file.write(b'\n{"position": 150, "ha')
    checkpoints.append(second)
    assert list(checkpoints) == [first, second]


def test_every_event_is_about_a_record_that_is_audited():
    audited = [kind.mapper.name for kind in RECORDS]
    about_records = set(EventType) - WITHOUT_RECORD
    assert {table_of(event) for event in about_records} == set(audited)
    assert table_of(EventType.ORDER_PROMISED) == "promises"
    unmatched = {event for event in EventType if event.startswith(("contact.unmatched_", "contact.matched"))}
    assert {table_of(event) for event in unmatched} == {"unmatched_contacts"}
    # These begin as the events about orders and contacts do.
    for event in about_records - {EventType.ORDER_PROMISED} - unmatched:
        assert sum(event.startswith(table.events) for table in tables.TABLES) == 1, event


def test_the_audit_decrypts_every_personal_field():
    personal = {
        kind.mapper.name for kind in RECORDS if any(f.metadata.get("personal") for f in fields(kind.mapper.record))
    }
    assert personal == audit._CHECKED - {"promises"}

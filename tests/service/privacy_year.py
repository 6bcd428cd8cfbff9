"""What happens in an installation over years, with a text of its own in each personal field, and what must be left."""

import json
import re
from collections import Counter
from copy import deepcopy
from datetime import UTC, datetime, time
from heapq import heappop, heappush
from typing import NamedTuple

from refunds.domain.contact_points import Channel
from refunds.domain.instants import local_date
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import (
    EXTENDABLE,
    CustomerHasOpenMatters,
    DataRequestChannel,
    DataRequestKind,
    DataRequestOutcome,
    DisclosureBasis,
    LegalHold,
    LimitKind,
)
from refunds.domain.records import Intent
from refunds.presentation.documents.export import export_data
from refunds.security.encryption import ERASED
from refunds.service import (
    cancellations,
    contacts,
    data_requests,
    exports,
    orders,
    privacy,
    settlements,
    unmatched,
)
from refunds.service.contacts import NewContact
from refunds.service.data_requests import Given
from refunds.service.orders import OrderFacts
from refunds.service.rectification import Correction, on_record
from refunds.storage.tables import sealed
from tests.service.test_retention import BERLIN, DAY, HOUR, Ordered, Years, ids

MARK = "zqyear"
"""What each personal text begins with."""

HEAD = 16
"""So many of their first bytes tell encrypted values apart: most are random."""

_DETAILS = ("note", "ticket_ref")
_STATE = ("orders", "cancellations", "beside", "held", "later", "texts", "requests", "replies", "months")
_LIMITS = {
    DataRequestKind.RESTRICTION: LimitKind.RESTRICTION,
    DataRequestKind.OBJECTION: LimitKind.OBJECTION,
}


class Asked(NamedTuple):
    """A data request as the oracle has it."""

    kind: DataRequestKind
    customer: str | None
    received: datetime
    due: datetime
    is_open: bool = True


def months_on(day, months):
    """The same day of a later month, or its last."""
    first = day.replace(day=1)
    for _ in range(months):
        first = (first + 32 * DAY).replace(day=1)
    return min(first + (day.day - 1) * DAY, (first + 32 * DAY).replace(day=1) - DAY)


def due(received, *, extended=False):
    """The first instant that is too late to answer."""
    day = local_date(received, BERLIN)
    last = months_on(day, 3) if extended else min(day + 30 * DAY, months_on(day, 1))
    return datetime.combine(last + DAY, time(), BERLIN).astimezone(UTC)


def heads(store):
    """The first bytes of every encrypted value and digest in the records."""
    with store.read(COMMAND_LINE) as uow:
        found = [uow.tx.all(f"SELECT {column} AS value FROM {table}") for table, column in sealed()]  # noqa: S608
    return {bytes(row["value"])[:HEAD] for rows in found for row in rows if row["value"] and len(row["value"]) >= HEAD}


def heads_in(files, wanted):
    """Those of these first bytes that are anywhere in files."""
    return {
        data[at : at + HEAD] for data in files.values() for at in range(len(data)) if data[at : at + HEAD] in wanted
    }


class PrivacyYears(Years):
    """An installation in which things happen; of each personal text, the oracle knows whether it must be there."""

    def __init__(self, store, rng, people):
        super().__init__(store, rng)
        self.people, self.made, self.marks = people, 0, 0
        self.cancellations, self.texts, self.requests, self.replies, self.months = {}, {}, {}, {}, []
        self.erased, self.ever, self.seen, self.counts = set(), set(), set(), Counter()

    # What happens

    def mark(self):
        """A text that is nowhere else."""
        self.marks += 1
        return f"{MARK}{self.marks:06d}"

    def put(self, owner, table, record, *fields):
        """Note the texts of a record that was stored; `owner` is None if it is about nobody."""
        name = getattr(record, next(iter(record.__dataclass_fields__)))
        for field in fields:
            if (text := getattr(record, field)) and text is not ERASED:
                self.texts[table, name, field] = (owner, text)
                self.ever.add(text)

    def after(self, name, *args, days=45):
        """Do something some time later."""
        self.at(datetime.now(UTC) + self.rng.uniform(0.01, days) * DAY, name, *args)

    def at(self, moment, name, *args):
        """Do something at an instant."""
        self.marks += 1
        heappush(self.later, (moment, self.marks, name, args))

    def play(self, clock, until):
        """Let happen what happens until an instant, each at its time or, if that is past, now."""
        while self.later and self.later[0][0] < until:
            moment, _, name, args = heappop(self.later)
            clock.move_to(max(moment, datetime.now(UTC)))
            getattr(self, name)(*args)

    def order(self):
        """An order of a new or a known customer, with what comes of it."""
        self.made += 1
        order_id, rng, now = f"O-{self.made}", self.rng, datetime.now(UTC)
        late = rng.random() < 0.3
        provided = now - rng.choice((60, 300) if late else (0,)) * DAY - HOUR
        ref = f"{MARK}ref{rng.randrange(self.people)}"
        with self.store.write(COMMAND_LINE) as uow:
            facts = OrderFacts(order_id=order_id, customer_ref=ref, service_provided_at=provided, region="DE-BY")
            assert uow.replies.claim(order_id, b"") is None
            order = orders.register(uow, facts)[0].order
            uow.replies.keep(order_id, f'[201,"{ref}"]')
        made = self.orders[order_id] = Ordered(order.customer_id, provided, [], [])
        self.replies[order_id] = now
        self.texts["customers", order.customer_id, "customer_ref"] = (order.customer_id, ref)
        self.ever.add(ref)
        what = rng.random()
        if what < 0.3:
            return
        if what < 0.55:
            self.told(order_id, self.contact_about(order_id, Intent.QUESTION))
            return
        contact = self.contact_about(order_id)
        self.told(order_id, contact)
        if not late:
            made.is_open = True
            if what < 0.7:
                self.after("resolve", order_id, days=rng.choice((30, 1500)))
            else:
                self.cancel(order_id, contact)

    def cancel(self, order_id, contact):
        """Cancel an order, and settle that later."""
        with self.store.write(COMMAND_LINE) as uow:
            made = cancellations.issue(uow, order=order_id, contact=contact.contact_id)
        self.orders[order_id].ends.append(datetime.now(UTC))
        self.cancellations[made.cancellation_id] = order_id
        self.after("settle", order_id, made.cancellation_id, days=self.rng.choice((30, 30, 30, 3000)))

    def contact_about(self, order_id, intent=Intent.CANCEL):
        """A new contact about an order."""
        given = {name: self.mark() for name in _DETAILS if self.rng.random() < 0.6}
        new = NewContact(channel=Channel.EMAIL, intent=intent, from_detail=f"{self.mark()}@example.org", **given)
        with self.store.write(COMMAND_LINE) as uow:
            return contacts.record(uow, order_id, new)

    def told(self, order_id, *recorded):
        """Note contacts about an order."""
        super().told(order_id, *recorded)
        for one in recorded:
            self.put(self.orders[order_id].customer, "contacts", one, "from_detail", *_DETAILS)

    def again(self):
        """A question about an order that is known."""
        known = [name for name, one in self.orders.items() if one.customer not in self.erased]
        if known:
            order_id = self.rng.choice(known)
            self.told(order_id, self.contact_about(order_id, Intent.QUESTION))

    def settle(self, order_id, name):
        """Settle a cancellation."""
        with self.store.write(COMMAND_LINE) as uow:
            settled = settlements.settle(uow, name, None, self.mark())
        self.orders[order_id].ends.append(datetime.now(UTC))
        self.orders[order_id].is_open = False
        self.put(self.orders[order_id].customer, "cancellations", settled, "billing_ref")

    def someone(self):
        """The reference and the id of a customer who is not erased."""
        found = sorted({one.customer for one in self.orders.values()} - self.erased)
        customer = self.rng.choice(found) if found else None
        return (self.texts["customers", customer, "customer_ref"][1], customer) if customer else (None, None)

    def limit(self):
        """A hold that is lifted later, or never; or a disclosure."""
        ref, customer = self.someone()
        if customer is None:
            return
        if self.rng.random() < 0.3:
            with self.store.write(COMMAND_LINE) as uow:
                made = privacy.disclose(uow, ref, DisclosureBasis.AUTHORITY_REQUEST, self.mark(), self.mark())
            self.beside["disclosures", made.disclosure_id] = (customer, datetime.now(UTC))
            self.put(customer, "disclosures", made, "recipient", "reference")
        elif customer not in self.held:
            self.limited(customer, LimitKind.HOLD, self.mark())
            if self.rng.random() < 0.7:
                self.after("lift", customer, self.held[customer], days=self.rng.choice((60, 600)))

    def limited(self, customer, kind, reason):
        """Note a limit, or the one that there is."""
        with self.store.write(COMMAND_LINE) as uow:
            made = privacy.limit(uow, customer, kind, reason)
        self.note_limit(customer, made)

    def note_limit(self, customer, made):
        """Remember a limit."""
        self.beside["limits", made.limit_id] = (customer, None)
        self.put(customer, "limits", made, "reason")
        if made.kind is LimitKind.HOLD:
            self.held[customer] = made.limit_id

    def contact(self):
        """A contact without its order."""
        is_open = self.rng.random() < 0.2
        with self.store.write(COMMAND_LINE) as uow:
            made = unmatched.record(uow, "A-77", NewContact(channel=Channel.PHONE, note=self.mark()))
            if not is_open:
                unmatched.resolve(uow, made.unmatched_id, self.mark())
        self.beside["unmatched_contacts", made.unmatched_id] = (None, None if is_open else datetime.now(UTC))
        self.put(None, "unmatched_contacts", made, "note")

    # Data requests

    def request(self):
        """A data request that is answered in time, by some only after an extension."""
        rng, now = self.rng, datetime.now(UTC)
        ref, customer = self.someone() if rng.random() < 0.9 else (f"{MARK}nobody", None)
        kind, received = rng.choice(list(DataRequestKind)), now - rng.uniform(0, 3) * DAY
        about = {"identity_check": self.mark(), "recipient": self.mark()}
        with self.store.write(COMMAND_LINE) as uow:
            made = data_requests.open_request(uow, kind, ref or "nobody", DataRequestChannel.POST, received, **about)
        asked = self.requests[made.request_id] = Asked(kind, customer, received, due(received))
        assert (made.due_at, made.customer_id) == (asked.due, customer)
        self.beside["data_requests", made.request_id] = (customer, None)
        self.put(customer, "data_requests", made, "identity_check", "recipient")
        until = asked.due
        if kind in EXTENDABLE and rng.random() < 0.5:
            self.at(now + rng.uniform(0.1, 0.99) * (until - now), "extend", made.request_id)
            now, until = until, due(received, extended=True)
        self.at(now + rng.choice((rng.uniform(0.01, 0.99), 0.9999)) * (until - now), "answer", made.request_id)

    def extend(self, name):
        """Extend the time to answer; if it is over, as it is after an older state was restored, answer at once."""
        asked = self.requests[name]
        if asked.customer in self.erased or datetime.now(UTC) >= asked.due:
            self.answer(name)
            return
        with self.store.write(COMMAND_LINE) as uow:
            made = data_requests.extend(uow, name, self.mark())
        self.requests[name] = asked = asked._replace(due=due(asked.received, extended=True))
        assert made.due_at == asked.due
        self.put(asked.customer, "data_requests", made, "extension_reason")
        self.counts["extended"] += 1

    def answer(self, name):
        """Answer a data request: do what it asks for or, if that cannot be, refuse it."""
        asked = self.requests[name]
        if not asked.is_open:
            return
        self.counts["in time" if datetime.now(UTC) < asked.due else "late, as restored"] += 1
        given = self.outcome(name, asked)
        try:
            self.close(name, asked, given)
        except LegalHold:
            assert asked.customer in self.held
            self.counts["erasures refused by a hold"] += 1
            self.close(name, asked, Given(DataRequestOutcome.REFUSED, self.mark()))
        except CustomerHasOpenMatters:
            self.close(name, asked, given._replace(anyway="they insist"))

    def outcome(self, name, asked):
        """What comes of a data request."""
        if asked.customer is None or asked.customer in self.erased:
            return Given(DataRequestOutcome.NOTHING_HELD)
        if asked.kind in {DataRequestKind.ACCESS, DataRequestKind.PORTABILITY}:
            with self.store.write(COMMAND_LINE) as uow:
                told = json.dumps(export_data(exports.for_request(uow, name)))
            correct = {text for owner, text in self.texts.values() if owner == asked.customer}
            assert set(re.findall(rf"{MARK}\w+(?:@example\.org)?", told)) == correct
            self.counts["texts in exports"] += len(correct)
        if asked.kind is DataRequestKind.RECTIFICATION:
            held = [key for key, (owner, _) in self.texts.items() if owner == asked.customer and key[2] in _DETAILS]
            if not held:
                return Given(DataRequestOutcome.REFUSED, self.mark())
            return Given(DataRequestOutcome.FULFILLED, corrections=[Correction(*self.rng.choice(held), self.mark())])
        return Given(DataRequestOutcome.FULFILLED, self.mark())

    def close(self, name, asked, given):
        """Close a data request, with all that this does."""
        fulfilled, limit = given.outcome is DataRequestOutcome.FULFILLED, _LIMITS.get(asked.kind)
        self.seen |= heads(self.store) if asked.kind is DataRequestKind.ERASURE else set()
        with self.store.write(COMMAND_LINE) as uow:
            made = data_requests.close(uow, name, given).request
        self.requests[name] = asked._replace(is_open=False)
        self.beside["data_requests", name] = (asked.customer, datetime.now(UTC))
        self.put(asked.customer, "data_requests", made, "outcome_reason")
        self.counts[f"{asked.kind} {given.outcome}"] += 1
        for one in given.corrections:
            self.texts[one[:3]] = (asked.customer, one.value)
            self.ever.add(one.value)
        if fulfilled and asked.kind is DataRequestKind.ERASURE:
            self.erase(asked.customer)
        elif fulfilled and limit:
            with self.store.read(COMMAND_LINE) as uow:
                self.note_limit(asked.customer, uow.limits.active(asked.customer, limit))
            self.after("take_back", name, limit, days=self.rng.choice((60, 600)))

    def take_back(self, name, kind):
        """Lift what was done on a data request."""
        customer = self.requests[name].customer
        with self.store.write(COMMAND_LINE) as uow:
            limit = uow.limits.active(customer, kind)
            data_requests.close(uow, name, Given(DataRequestOutcome.TAKEN_BACK))
            others = [one for one in uow.data_requests.of_customer(customer) if one.kind == kind]
            left = uow.limits.active(customer, kind)
        stands = any(one.outcome is DataRequestOutcome.FULFILLED for one in others)
        self.counts["still limited"] += stands
        assert (left is not None) == (stands and limit is not None)
        self.beside["data_requests", name] = ended = (customer, datetime.now(UTC))
        if limit and limit != left:
            self.beside["limits", limit.limit_id] = ended
        if left and limit != left:
            self.note_limit(customer, left)

    def erase(self, customer):
        """Remember that a customer is erased."""
        self.erased.add(customer)
        self.texts = {key: one for key, one in self.texts.items() if one[0] != customer}
        for order_id, order in self.orders.items():
            if order.customer == customer:
                self.replies.pop(order_id, None)
                for *_, fields in order.contacts:
                    fields.clear()

    # What must be there

    def expected(self, today):
        """What has to be there on a day, by table."""
        there = super().expected(today)
        there["cancellations"] = {name for name, order in self.cancellations.items() if order in there["orders"]}
        there["idempotency"] = {
            name
            for name, at in self.replies.items()
            if name in there["orders"]
            # A day of the 30 may have 23 hours: then it expires after the midnight that ends them.
            and (today <= local_date(at, BERLIN) + 30 * DAY or datetime.now(UTC) < at + 30 * DAY)
        }
        self.counts["nights of held orders"] += sum(
            today > one.until and not one.is_open for name, one in self.orders.items() if name in there["orders"]
        )
        return there

    def present(self):
        """What is there."""
        return super().present() | {"idempotency": ids(self.store, "idempotency", "order_id")}

    def compare(self, today):
        """Assert that what is there is what has to be on a day, and let the oracle forget the rest."""
        expected, present = self.expected(today), self.present()
        for table in expected.keys() - {"promises"}:
            more, less = present[table] - expected[table], expected[table] - present[table]
            assert (more, less) == (set(), set()), (table, today)
        with self.store.read(COMMAND_LINE) as uow:
            overdue = {one.request_id for one in uow.data_requests.paginate(limit=1000, overdue=True)}
        now = datetime.now(UTC)
        assert overdue == {name for name, one in self.requests.items() if one.is_open and one.due <= now}
        self.forget(expected)
        return overdue

    def forget(self, there):
        """Forget what went."""
        owners = {name: self.orders[name].customer for name in there["orders"]}
        self.orders = {name: one for name, one in self.orders.items() if name in owners}
        for order in self.orders.values():
            for contact_id, _, _, fields in order.contacts:
                if contact_id not in there["details"]:
                    fields.clear()
        for name, table in (
            ("cancellations", "cancellations"),
            ("replies", "idempotency"),
            ("requests", "data_requests"),
        ):
            setattr(self, name, {key: one for key, one in getattr(self, name).items() if key in there[table]})
        self.beside = {key: one for key, one in self.beside.items() if key[1] in there[key[0]]}
        of = there | {"customers": set(owners.values())}
        self.texts = {
            key: one
            for key, one in self.texts.items()
            if key[1] in of[key[0] if key[0] != "contacts" or key[2] not in _DETAILS else "details"]
        }

    def read(self):
        """Every personal text that can be read, by its place."""
        with self.store.read(COMMAND_LINE) as uow:
            names = [row["id"] for row in uow.tx.all("SELECT customer_id AS id FROM customers ORDER BY digest")]
            found = [one for name in names for one in on_record(uow, name)]
            told = [uow.unmatched.get(name) for name in ids(self.store, "unmatched_contacts", "unmatched_id")]
        texts = {one[:3]: one.value for one in found if one.value is not ERASED}
        return texts | {("unmatched_contacts", one.unmatched_id, "note"): one.note for one in told}

    def saved(self):
        """What the oracle knows now."""
        return deepcopy({name: getattr(self, name) for name in _STATE})

    def put_back(self, saved):
        """Know what was saved, and who was erased since."""
        self.__dict__.update(deepcopy(saved))
        for one in list(self.erased):
            self.erase(one)

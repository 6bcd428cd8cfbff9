"""The data for the screens of the console: some orders around a day in April, their requests, and a changed policy.

Everything happens in this process with a stopped clock, so that pictures are always the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from threading import Thread
from typing import NamedTuple

import time_machine
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.policy import PolicyVersion
from refunds.domain.privacy import DataRequestChannel, DataRequestKind, DataRequestOutcome, DisclosureBasis, Fee
from refunds.domain.records import Intent, OverrideKind, RevocationReason
from refunds.domain.statistics import ClosedMonth
from refunds.service import (
    assignments,
    cancellations,
    contacts,
    data_requests,
    orders,
    privacy,
    publication,
    settlements,
    unmatched,
    users,
)
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.data_requests import Given
from refunds.service.orders import OrderFacts
from refunds.web import create_app
from tests.browser import states
from tests.conftest import settings
from tests.faults.harness import free_port

NOW = datetime(2026, 4, 8, 8, 20, tzinfo=UTC)
"""A Wednesday after Easter, in the morning."""

HOSTILE = "<script>alert(1)</script>{{ 7 * 7 }}${7*7}\u202egnp.exe\u2066<img src=x onerror=alert(2)>'\"><b>bold"
"""Text that every screen must treat as plain text."""


class _Handler(WSGIRequestHandler):
    """Keeps connections alive, and prints nothing."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Do nothing: the service has its own log."""


class Scene(NamedTuple):
    """A running console: its address, its users, and the records to show."""

    url: str
    passwords: dict[str, str]
    open_contact: str
    refused_contact: str
    cancellation: str
    revoked: str
    customer: str
    withdrawal: str
    statutory: str
    unmatched: str
    matched: str
    superseded: str
    corrected: str
    asked: dict[str, str]
    """A data request of each kind by its kind, one that is `refused`, and one that was `erased`."""
    app: Flask


@contextmanager
def scene(*, hostile: bool = False) -> Iterator[Scene]:
    """The console at that time, optionally with `hostile` text in every field that takes text."""
    log = TextIOWrapper(BytesIO())
    with time_machine.travel(NOW - timedelta(days=6), tick=False) as clock:
        with redirect_stdout(log):
            app = create_app(settings())
        yield from _served(app, clock, hostile=hostile)
    logged = log.buffer.getvalue().decode()
    assert '"level":"error"' not in logged, logged


def _served(app: Flask, clock: time_machine.Traveller, *, hostile: bool) -> Iterator[Scene]:
    store = app.extensions["refunds.store"]
    data = _fill(store, clock, lambda plain: HOSTILE if hostile else plain)
    port = free_port()
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Scene(f"http://localhost:{port}", app=app, **data)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        store.close()


CELLS = {
    "AT": {"phone": {"cancelled": 23, "question": 14}},
    "DE": {
        "email": {"cancelled": 61, "cancellable": 12, "needs_supervisor": 19, "refused": 22, "question": 133},
        "phone": {"cancelled": 1214, "cancellable": 37, "needs_supervisor": 102, "refused": 311, "question": 640},
        "post": {"withdrawal": 47},
    },
}
"""The statistics of March."""


def _fill(store, clock, text) -> dict:
    with store.write(COMMAND_LINE) as uow:
        for month, cells in (("2026-02", {}), ("2026-03", CELLS)):
            closed = ClosedMonth(month=month, cells=cells, closed_at=uow.now, closed_by=COMMAND_LINE.actor)
            uow.statistics.add(closed, EventType.STATISTICS_CLOSED)
        made = {role: users.add(uow, name, role) for role, name in NAMES.items()}
        _publish(uow, text)
    principals = {role: Principal(one.user.user_id, one.user.name, role) for role, one in made.items()}
    agent, supervisor = principals[Role.AGENT], principals[Role.SUPERVISOR]
    for number, (at, region) in enumerate(PROVIDED, 1001):
        clock.move_to(max(NOW - timedelta(days=6), at + timedelta(minutes=1)) if at else NOW - timedelta(days=2))
        with store.write(COMMAND_LINE) as uow:
            ordered = at - timedelta(hours=1) if at and number > LAST_UNDATED else None
            ref = f"K-{20391 + number % 7}" if number % 7 else text("K-20391")
            orders.register(
                uow,
                OrderFacts(
                    order_id=f"A-{number}",
                    customer_ref=ref,
                    ordered_at=ordered,
                    service_provided_at=at,
                    region=region,
                ),
            )
    clock.move_to(NOW - timedelta(hours=2))
    call = NewContact(
        channel=Channel.PHONE, note=text("Wants to keep the old number after all?"), from_detail="+4989123456"
    )
    with store.write(agent) as uow:
        later = contacts.record(uow, "A-1002", call)
        question = replace(call, intent=Intent.QUESTION, note=text("Asked until when."))
        corrected = contacts.record(uow, "A-1002", question)
        contacts.record(uow, "A-1002", replace(question, channel=Channel.EMAIL, supersedes=corrected.contact_id))
        refused = contacts.record(uow, "A-1004", replace(call, channel=Channel.EMAIL, ticket_ref=text("T-4711")))
        letter = replace(call, intent=Intent.WITHDRAWAL, channel=Channel.POST, sent_at=NOW - timedelta(days=2))
        letter = replace(letter, from_detail="maximiliane.schwarzenberger.hohenlichtenstein@insurance.example")
        withdrawal = contacts.record(uow, "A-1009", letter)
        withdrawn = contacts.record(uow, "A-1010", letter)
        contacts.record(uow, "A-1008", replace(call, received_at=NOW - timedelta(hours=24), ticket_ref="T-4712"))
        kept = unmatched.record(uow, text("The number that ends in 77, ordered on Tuesday"), call)
        became = unmatched.record(uow, text("A-1001, or so"), replace(call, intent=Intent.QUESTION, note=None))
        unmatched.match(uow, became.unmatched_id, "A-1001")
        spoke = unmatched.record(uow, text("Ordered on Tuesday, ends in 78"), replace(call, channel=Channel.EMAIL))
        unmatched.record(uow, text("Ordered on Tuesday, ends in 78"), replace(call, supersedes=spoke.unmatched_id))
        assignments.assign(uow, later.contact_id, None)
    clock.move_to(NOW - timedelta(minutes=25))
    with store.write(agent) as uow:
        wrong = cancellations.issue(uow, order="A-1005", contact=replace(call, note=None))
    clock.move_to(NOW - timedelta(minutes=12))
    with store.write(agent) as uow:
        settlements.revoke(
            uow, wrong.cancellation_id, RevocationReason.ENTERED_IN_ERROR, text("Another order was meant.")
        )
        done = cancellations.issue(uow, order="A-1003", contact=call)
        customer = uow.orders.get("A-1001").customer_id
    with store.write(supervisor) as uow:
        override = Override(OverrideKind.GOODWILL, text("Our line was down all afternoon."))
        cancellations.issue(uow, order="A-1006", contact=call, override=override)
        override = Override(OverrideKind.STATUTORY, text("A consumer, after ten days."))
        statutory = cancellations.issue(uow, order="A-1010", contact=withdrawn.contact_id, override=override)
    asked = _ask(store, clock, principals[Role.PRIVACY], text)
    states.fill(store, clock, principals, NOW, text)
    clock.move_to(NOW)
    return {
        "asked": asked,
        "passwords": {one.user.name: one.password for one in made.values()},
        "open_contact": later.contact_id,
        "refused_contact": refused.contact_id,
        "cancellation": done.cancellation_id,
        "revoked": wrong.cancellation_id,
        "customer": customer,
        "withdrawal": withdrawal.contact_id,
        "statutory": statutory.cancellation_id,
        "unmatched": kept.unmatched_id,
        "matched": became.unmatched_id,
        "superseded": spoke.unmatched_id,
        "corrected": corrected.contact_id,
    }


def _ask(store, clock, officer, text) -> dict[str, str]:
    """Data requests of all kinds: late, extended, unchecked, refused, and an erasure that is done."""
    asked = {}
    clock.move_to(NOW - timedelta(hours=1))
    with store.write(COMMAND_LINE) as uow:
        for number in (2001, 2002):
            ref, provided = f"K-{number}", NOW - timedelta(days=30)
            facts = OrderFacts(
                order_id=f"A-{number}",
                customer_ref=ref,
                ordered_at=provided,
                service_provided_at=provided,
                region="DE-BY",
            )
            orders.register(uow, facts)
            how = text("a carrier"), text(f"C-{number}")
            privacy.disclose(uow, ref, DisclosureBasis.PROCESSOR, *how)
        contacts.record(
            uow, "A-2001", NewContact(channel=Channel.PHONE, note=text("He asked."), from_detail="+4989123")
        )
    kinds = {"late": DataRequestKind.PORTABILITY, "refused": DataRequestKind.ACCESS, "erased": DataRequestKind.ERASURE}
    for number, name in enumerate(("late", "refused", *DataRequestKind, "erased")):
        with store.write(officer) as uow:
            asked[name] = data_requests.open_request(
                uow,
                kinds.get(name) or DataRequestKind(name),
                "K-2002" if name == "erased" else "K-2001",
                DataRequestChannel.POST,
                NOW - timedelta(days=36 - 4 * number),
                identity_check=None if name == "objection" else text("Reisepass"),
                recipient=text("another shop"),
            ).request_id
    with store.write(officer) as uow:
        data_requests.extend(uow, asked["access"], text("Three years, eleven orders"))
        data_requests.note_fee(uow, asked["access"], Fee.FURTHER_COPY, text("Third copy this year"))
        data_requests.close(uow, asked["refused"], Given(DataRequestOutcome.REFUSED, text("Somebody else asked")))
    with store.write(officer) as uow:
        data_requests.close(uow, asked["erased"], Given(DataRequestOutcome.FULFILLED))
    return asked


NAMES = {
    Role.AGENT: "anna",
    Role.SUPERVISOR: "samuel",
    Role.PRODUCT: "petra",
    Role.AUDITOR: "arno",
    Role.PRIVACY: "paula",
}

PROVIDED = [
    (datetime(2026, 4, 2, 14, 20, tzinfo=UTC), "DE-BY"),
    (datetime(2026, 4, 2, 9, 5, tzinfo=UTC), "DE-BE"),
    (datetime(2026, 4, 7, 10, 0, tzinfo=UTC), "DE-BY"),
    (datetime(2026, 3, 30, 8, 0, tzinfo=UTC), "DE-NW"),
    (datetime(2026, 4, 6, 18, 0, tzinfo=UTC), None),
    (datetime(2026, 3, 27, 11, 0, tzinfo=UTC), "DE-HH"),
    (None, "DE-BY"),
    (datetime(2026, 4, 1, 10, 0, tzinfo=UTC), "DE-BY"),
    (datetime(2026, 3, 30, 9, 0, tzinfo=UTC), "DE-BY"),
    (datetime(2026, 3, 30, 9, 30, tzinfo=UTC), "DE-BY"),
    (datetime(2026, 3, 30, 9, 45, tzinfo=UTC), "DE-BY"),
]
LAST_UNDATED = 1008
"""The last order of which it is not known when it was placed."""


def _publish(uow, text) -> None:
    """Publish a second version of the policy, with contact points and a vendor name, and enter a closure."""
    first: PolicyVersion = uow.policies["virtual-numbers"].versions[0]
    terms = replace(
        first.terms,
        vendor_name=text("Example Numbers"),
        phone=replace(first.terms.phone, points=("+493012345678",)),
        email=replace(first.terms.email, points=("cancel@example.com",)),
        page_url="https://example.com/refunds",
    )
    publication.publish(uow, replace(first, version=2, effective_from=None, terms=terms))
    publication.close(
        uow, "virtual-numbers", datetime(2026, 5, 15, tzinfo=UTC).date(), text("Betriebsausflug"), text("Works outing")
    )

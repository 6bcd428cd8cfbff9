"""The supervisors' list of all cancellations, its table for spreadsheets, and their overview of the work."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.records import Intent, OverrideKind, RevocationReason
from refunds.service import cancellations, clients, contacts, settlements, unmatched, users
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.web.console.eligibility import PAGE
from tests.console.conftest import NOW, TOO_LONG_AGO, opened


@pytest.fixture
def own(engine):
    """An installation of its own, so that nothing else was cancelled."""
    site = opened(engine=engine)
    yield site
    site.store.close()


def goodwill(own):
    """A cancellation as goodwill, by the supervisor."""
    order = own.register(service_provided_at=TOO_LONG_AGO)
    contact = own.record(order, Role.SUPERVISOR)
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        override = Override(OverrideKind.GOODWILL, "Our line was down.")
        return cancellations.issue(uow, order=order, contact=contact, override=override)


def revoke(own, one):
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        settlements.revoke(uow, one.cancellation_id, RevocationReason.ENTERED_IN_ERROR, None)


def shown(page):
    """The orders of the table of a page."""
    tables = list(page.main.every("tbody"))
    return [next(iter(one.every("td"))).text for one in tables[0].every("tr")] if tables else []


def test_the_list_has_the_newest_first_and_leads_on_and_back(own):
    orders = [own.cancel(own.register()).order_id for _ in range(2 * PAGE + 3)][::-1]
    supervisor = own.browser(Role.SUPERVISOR)
    first = supervisor.get("/console/cancellations")
    second = supervisor.follow(first, "Next page")
    third = supervisor.follow(second, "Next page")
    pages = [orders[:PAGE], orders[PAGE : 2 * PAGE], orders[2 * PAGE :]]
    assert [shown(page) for page in (first, second, third)] == pages
    assert ("Previous page" in first.links, "Next page" in third.links) == (False, False)
    back = supervisor.follow(third, "Previous page")
    assert (shown(back), shown(supervisor.follow(back, "Next page"))) == (pages[1], pages[2])
    begin = supervisor.follow(back, "Previous page")
    assert (shown(begin), "Previous page" in begin.links) == (pages[0], False)


def test_each_filter_leaves_what_fits_it(own):
    ours, kind, taken = own.cancel(own.register()), goodwill(own), own.cancel(own.register())
    revoke(own, taken)
    supervisor = own.browser(Role.SUPERVISOR)
    ids = {role: own.user(f"{role}-1").user_id for role in (Role.AGENT, Role.SUPERVISOR)}
    due = ours.refund_due_by
    ours, kind, taken = ours.order_id, kind.order_id, taken.order_id
    expected = {
        "": {ours, kind, taken},
        "state=revoked": {taken},
        "basis=goodwill": {kind},
        f"issued_by={ids[Role.SUPERVISOR]}": {kind},
        f"issued_by={ids[Role.AGENT]}&state=issued": {ours},
        "issued_from=today&issued_to=8.4.2026": {ours, kind, taken},
        "issued_to=yesterday": set(),
        "issued_from=9.4.2026": set(),
        f"due_from={due}&due_to={due}": {ours, kind, taken},
        f"due_from={due + timedelta(days=1)}": set(),
        f"due_to={due - timedelta(days=1)}": set(),
        f"due_from={due.day}.{due.month}.&due_to={due.day}. {due:%B}": {ours, kind, taken},
        "due_from=1.4.&due_to=21.4.": set(),
        "due_to=22.4.": {ours, kind, taken},
        "overdue=true": set(),
    }
    for query, left in expected.items():
        assert set(shown(supervisor.get(f"/console/cancellations?{query}"))) == left, query
    with time_machine.travel(NOW + timedelta(days=20)):
        later = own.browser(Role.SUPERVISOR)
        page = later.get("/console/cancellations?overdue=true")
        assert set(shown(page)) == {ours, kind}
        assert page.text.count("overdue") > 2


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("issued_from=soon&issued_to=later", {"issued_from", "issued_to"}),
        ("issued_from=8.4.2026&issued_to=1.4.2026", {"issued_to"}),
        ("due_from=8.4.2026&due_to=1.4.2026", {"due_to"}),
        ("issued_from=8.4.2026 10:20&issued_to=today 11:00", {"issued_from", "issued_to"}),
        ("issued_to=2026-04-08T00:00:00%2B02:00", {"issued_to"}),
        ("due_from=8.4.2026 10:20&due_to=9.4.2026 0:00", {"due_from", "due_to"}),
        ("state=gone", {"state"}),
        ("state=revoked&overdue=true", {"state"}),
        ("overdue=perhaps", {"overdue"}),
    ],
)
def test_filters_that_do_not_fit_are_shown_again_with_what_is_wrong(own, query, wrong):
    own.cancel(own.register())
    page = own.browser(Role.SUPERVISOR).get(f"/console/cancellations?{query}")
    assert (page.status, set(page.errors), shown(page)) == (422, wrong, [])


def issuers(page):
    """The ids of those whose cancellations can be chosen, by their names."""
    return {one.text: one["value"] for one in page.main.one("select", id="issued_by").every("option")}


def test_who_can_have_issued_one_can_be_chosen_and_clients_too(own):
    with own.store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.BILLING, "the shop", 30)
        clients.create_token(uow, Role.OPERATOR, "the watch", 30)
        shop, watch = (uow.clients.by_name(name) for name in ("the shop", "the watch"))
        users.disable(uow, "billing-1")
    order = own.register()
    with own.store.write(Principal(shop.client_id, shop.name, shop.role)) as uow:
        cancellations.issue(uow, order=order, contact=NewContact(channel=Channel.PHONE))
    own.cancel(own.register())
    supervisor = own.browser(Role.SUPERVISOR)
    page = supervisor.get("/console/cancellations")
    assert set(issuers(page)) == {"all", "admin-1", "agent-1", "billing-1", "supervisor-1", "the shop (API)"}
    page = supervisor.press(page, "Show", issued_by=issuers(page)["the shop (API)"])
    assert shown(page) == [order]
    assert shown(supervisor.press(page, "Show")) == [order], "the filter stays"
    for other in (watch.client_id, own.user("auditor-1").user_id, "cli_gone"):
        page = supervisor.get(f"/console/cancellations?issued_by={other}")
        assert page.form("Show").fields["issued_by"] == other
    codes = own.browser(Role.AUDITOR).get("/console/cancellations")
    assert shop.client_id in issuers(codes), "an auditor sees no names"


def test_a_client_is_told_apart_from_a_user_of_the_same_name(own):
    with own.store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.AGENT, "agent-1", 30)
        client = uow.clients.by_name("agent-1")
    for who in (own.principal(Role.AGENT), Principal(client.client_id, client.name, client.role)):
        order = own.register()
        with own.store.write(who) as uow:
            cancellations.issue(uow, order=order, contact=NewContact(channel=Channel.PHONE))
    page = own.browser(Role.SUPERVISOR).get("/console/cancellations")
    assert {"agent-1", "agent-1 (API)"} < set(issuers(page))
    rows = [[cell.text for cell in one.every("td")][-1] for one in page.main.one("tbody").every("tr")]
    assert sorted(rows) == ["agent-1", "agent-1 (API)"]


def test_a_forged_cursor_is_a_problem(own):
    for name in ("after", "before"):
        assert own.browser(Role.SUPERVISOR).get(f"/console/cancellations?{name}=x").status == 400


def download(browser, page):
    """The response with the table, and its rows."""
    form = page.form("Download as CSV")
    sent = {"data": form.fields, "headers": {"Sec-Fetch-Site": "same-origin"}}
    answer = browser.send("POST", "/console/cancellations", **sent)
    return answer, list(csv.DictReader(StringIO(answer.text)))


def test_the_table_has_all_that_the_filters_leave_and_the_journal_says_who_took_it_out(own):
    for number in range(PAGE + 2):
        own.cancel(own.register(customer_ref="=1+1" if number else "@SUM(A1)"))
    goodwill(own)
    supervisor = own.browser(Role.SUPERVISOR)
    page = supervisor.get("/console/cancellations?basis=policy&issued_to=today")
    answer, rows = download(supervisor, page)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=cancellations.csv"
    assert answer.headers["Cache-Control"] == "no-store"
    assert {row["basis"] for row in rows} == {"policy"}
    assert (len(rows), {row["customer_ref"] for row in rows}) == (PAGE + 2, {"'=1+1", "'@SUM(A1)"})
    with own.store.read(COMMAND_LINE) as uow:
        (last, _), *_ = uow.events.newest(None, 1)
    assert (last.type, last.subject, last.data, last.actor) == (
        "privacy.table_exported",
        "cancellations",
        '{"from":null,"to":"2026-04-08"}',
        own.user("supervisor-1").user_id,
    )
    own.verify()


def test_an_auditor_sees_it_without_personal_fields_and_agents_not_at_all(own):
    own.cancel(own.register(customer_ref="K-personal"))
    auditor = own.browser(Role.AUDITOR)
    page = auditor.get("/console/cancellations")
    assert (len(shown(page)), "K-personal" in page.text) == (1, False)
    assert [row["customer_ref"] for row in download(auditor, page)[1]] == [""]
    agent = own.browser(Role.AGENT)
    assert ("Cancellations" in agent.get("/console/").links, agent.get("/console/cancellations").status) == (False, 403)
    assert agent.post("/console/cancellations", {"csrf_token": agent.token}).status == 403


def overview(page):
    """The cells of the overview by the heading of their row."""
    (found,) = (one for one in page.main.every("table") if one.one("thead").text.startswith("At a glance"))
    rows = [[cell.text for cell in row.every("th", "td")] for row in found.one("tbody").every("tr")]
    return {name: cells for name, *cells in rows}


def test_supervisors_begin_at_the_queue_with_an_overview_of_today_and_the_week(own):
    with time_machine.travel(NOW - timedelta(days=3)):  # the Sunday before
        own.record(own.register(service_provided_at="2026-04-02T14:20:00Z"))
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        own.record(own.register(service_provided_at=TOO_LONG_AGO))
        goodwill(own)
        own.cancel(own.register())
        own.keep("A-?")
    superseded = own.register()
    own.record(superseded, supersedes=own.record(superseded))
    own.record(own.register(), intent=Intent.QUESTION)
    revoke(own, goodwill(own))
    supervisor = own.browser(Role.SUPERVISOR)
    page = supervisor.get("/console/open")
    assert overview(page) == {
        "Requests": ["2", "6"],
        "Refused": ["1", "3"],
        "Goodwill, by whom": ["0", "you: 1"],
        "Oldest open request": ["5 Apr 2026, 10:20 3 days"],
        "Overdue refunds": ["0"],
    }
    with time_machine.travel(NOW + timedelta(days=20)):
        page = own.browser(Role.SUPERVISOR).get("/console/open")
        assert overview(page)["Overdue refunds"] == ["2"]
        assert page.links["2"].endswith("/console/cancellations?overdue=true")
    assert "At a glance" not in own.browser(Role.AGENT).get("/console/open").text


MIDNIGHT = datetime(2026, 4, 7, 22, tzinfo=UTC)
"""The midnight in Berlin before `NOW`."""

BIT = timedelta(microseconds=1)


@pytest.mark.parametrize(("begun", "ended", "today"), [(-BIT, BIT, "0"), (-BIT, -BIT, "0"), (0 * BIT, BIT, "1")])
def test_a_request_belongs_to_the_day_on_which_it_was_recorded(own, begun, ended, today):
    """Midnight is that of the vendor. It can come while a request is being recorded: its time of record counts."""
    order = own.register(service_provided_at=TOO_LONG_AGO)
    with (
        time_machine.travel(MIDNIGHT + begun, tick=False) as clock,
        own.store.write(own.principal(Role.AGENT)) as uow,
    ):
        clock.move_to(MIDNIGHT + ended)
        contacts.record(uow, order, NewContact(channel=Channel.PHONE))
        unmatched.record(uow, "A-?", NewContact(channel=Channel.EMAIL))
    assert own.contact(order).recorded_at == MIDNIGHT + begun
    seen = overview(own.browser(Role.SUPERVISOR).get("/console/open"))
    assert seen["Requests"] == [str(2 * int(today)), "2"]
    assert seen["Refused"] == [today, "1"]

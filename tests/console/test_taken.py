"""Who deals with a request, and what is done with several requests at once."""

from datetime import timedelta

import pytest

from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Intent
from refunds.domain.references import REQUEST_NUMBER
from refunds.domain.resolutions import ResolutionReason
from refunds.service import assignments, orders, resolutions, unmatched, users
from refunds.service.orders import OrderFacts
from refunds.service.resolutions import Resolution
from tests.console.conftest import TOO_LONG_AGO, opened, signed_in
from tests.console.test_queue import listed

KEPT = {"reason_code": "customer_kept_order"}


@pytest.fixture
def own(engine):
    """An installation of its own, so that nothing else is open."""
    site = opened(engine=engine)
    yield site
    site.store.close()


@pytest.fixture
def ben(own):
    """Another agent."""
    with own.store.write(COMMAND_LINE) as uow:
        return users.add(uow, "ben", Role.AGENT).user


def said(page):
    """What the page says of what was done."""
    return [one.text for one in page.main.every("div", role="status")]


def taken_by(own, order):
    return own.contact(order).taken_by


def rows(browser, tab="in_time"):
    """The cells of each row of a tab by their headings."""
    page = browser.get(f"/console/open?tab={tab}")
    table = next(one for one in page.main.every("table") if one.one("thead").text.startswith("Pick"))
    headings = [one.text for one in table.one("thead").every("th")]
    every = (line.every("td", "th") for line in table.one("tbody").every("tr"))
    return [dict(zip(headings, (one.text for one in cells), strict=True)) for cells in every]


def row(browser, tab="in_time"):
    """The cells of the first row of a tab by their headings."""
    return rows(browser, tab)[0]


@pytest.mark.parametrize("known", [True, False])
def test_an_agent_takes_a_request_and_gives_it_back(own, known):
    agent = own.browser(Role.AGENT)
    path = f"/console/contacts/{own.record(own.register())}" if known else f"/console/unmatched/{own.keep('A-?')}"
    tab = "in_time" if known else "unmatched"
    page = agent.press(agent.get(path), "Take it")
    assert (page.path, page.facts["Taken by"], row(agent, tab)["Taken by"]) == (path, "you", "you")
    assert row(own.browser(Role.SUPERVISOR), tab)["Taken by"] == "agent-1"
    page = agent.press(page, "Give it back")
    assert ("Taken by" in page.facts, row(agent, tab)["Taken by"]) == (False, "–")


def test_who_comes_second_is_told_who_was_quicker(own, ben):
    order = own.register()
    path = f"/console/contacts/{own.record(order)}"
    one, other = own.browser(Role.AGENT), signed_in(own.app, ben)
    late = other.get(path)
    one.press(one.get(path), "Take it")
    page = other.press(late, "Take it")
    assert (page.status, page.errors["doing"].partition(" ")[0]) == (422, "agent-1")
    assert page.facts["Taken by"] == "agent-1"
    assert not {"Take it", "Give it back"} & {button for form in page.forms for button in form.buttons}
    assert taken_by(own, order) == own.user("agent-1").user_id


@pytest.mark.parametrize("leave", [users.disable, users.forget])
def test_a_supervisor_assigns_a_request_but_not_to_somebody_who_has_left(own, ben, leave):
    order = own.register()
    path = f"/console/contacts/{own.record(order)}"
    supervisor, agent = own.browser(Role.SUPERVISOR), own.browser(Role.AGENT)
    page = supervisor.get(path)
    assert "taken_by" not in agent.get(path).form("Take it").names, "an agent assigns nothing"
    page = supervisor.press(page, "Assign", taken_by=own.user("agent-1").user_id)
    assert page.facts["Taken by"] == "agent-1"
    with own.store.write(COMMAND_LINE) as uow:
        leave(uow, "ben")
    again = supervisor.press(page, "Assign", taken_by=ben.user_id)
    assert (again.status, set(again.errors), taken_by(own, order)) == (
        422,
        {"taken_by"},
        own.user("agent-1").user_id,
    )
    sent = {"csrf_token": agent.token, "doing": "assign", "taken_by": own.user("supervisor-1").user_id}
    assert agent.post(f"/console/open/{path.rpartition('/')[2]}", sent).status == 403


def test_what_somebody_had_who_has_left_says_so_and_can_be_taken(own, ben):
    order = own.register()
    contact = own.record(order)
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        assignments.assign(uow, contact, ben.user_id)
    with own.store.write(COMMAND_LINE) as uow:
        users.disable(uow, "ben")
    agent = own.browser(Role.AGENT)
    page = agent.get(f"/console/contacts/{contact}")
    assert "ben (has left)" in page.text
    assert agent.press(page, "Take it").facts["Taken by"] == "you"


def test_what_somebody_had_whose_name_was_deleted_shows_no_id(own, ben):
    contact = own.record(own.register())
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        assignments.assign(uow, contact, ben.user_id)
    with own.store.write(COMMAND_LINE) as uow:
        users.forget(uow, "ben")
    page = own.browser(Role.AGENT).get(f"/console/contacts/{contact}")
    assert "a user whose name was deleted (has left)" in page.text
    assert ben.user_id not in page.text


def test_the_next_request_is_none_that_somebody_else_deals_with(own, ben):
    first, second, third = (own.record(own.register()) for _ in range(3))
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        assignments.assign(uow, first, ben.user_id)
        assignments.assign(uow, second, own.user("agent-1").user_id)
    agent = own.browser(Role.AGENT)
    assert agent.get("/console/open/next?tab=in_time").path == f"/console/contacts/{second}"
    with own.store.write(COMMAND_LINE) as uow:
        users.disable(uow, "ben")
    assert agent.get("/console/open/next?tab=in_time").path == f"/console/contacts/{first}"
    assert third


def several(browser, tab="in_time", **typed):
    """The page that follows when everything in a tab is ticked and resolved."""
    page = browser.get(f"/console/open?tab={tab}&rows=200&ticked=all")
    return browser.press(page, "Resolve what is ticked", **typed)


def test_200_are_resolved_at_once_and_three_that_changed_meanwhile_are_left_alone_and_named(own):
    orders = [own.register() for _ in range(200)]
    contacts = {order: own.record(order) for order in orders}
    agent = own.browser(Role.AGENT)
    page = agent.get("/console/open?tab=in_time&rows=200&ticked=all")
    form = page.form("Resolve what is ticked")
    assert len([name for name in form.fields if name.startswith("pick-")]) == 200
    resolved, cancelled, again = orders[3], orders[77], orders[199]
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        given = Resolution(reason_code=ResolutionReason.OTHER, reason="She was told.")
        resolutions.resolve(uow, contacts[resolved], given)
    own.cancel(cancelled)
    own.record(again)
    page = agent.submit(form, "Resolve what is ticked", **KEPT)
    (text,) = said(page)
    assert text.startswith("197 requests were resolved 3 were left alone:")
    assert f"{resolved}: has been resolved meanwhile" in text
    assert f"{cancelled}: has been dealt with meanwhile" in text
    assert f"{again}: has changed meanwhile" in text
    codes = {order: {one.resolution_code for one in own.contacts(order)} for order in orders}
    assert codes.pop(resolved) == {ResolutionReason.OTHER}
    assert [codes.pop(order) for order in (cancelled, again)] == [{None}] * 2
    assert set(map(frozenset, codes.values())) == {frozenset({ResolutionReason.CUSTOMER_KEPT_ORDER})}
    own.verify()


def test_the_same_form_twice_makes_nothing_twice(own):
    orders = [own.register() for _ in range(3)]
    for order in orders:
        own.record(order)
    agent = own.browser(Role.AGENT)
    form = agent.get("/console/open?tab=in_time&ticked=all").form("Resolve what is ticked")
    first = agent.submit(form, "Resolve what is ticked", **KEPT)
    position = own.position
    second = agent.submit(form, "Resolve what is ticked", **KEPT)
    assert (said(first), own.position) == (said(second), position)
    assert said(first) == ["3 requests were resolved"]


def test_what_is_for_a_supervisor_is_left_alone_for_an_agent(own):
    late, changed = own.register(service_provided_at=TOO_LONG_AGO), own.register(service_provided_at=TOO_LONG_AGO)
    own.record(late)
    own.record(changed, intent=Intent.WITHDRAWAL)
    agent = own.browser(Role.AGENT)
    page = agent.get("/console/open?tab=withdrawals")
    assert page.form("Take what is ticked").buttons == ["Take what is ticked"], "an agent ends no withdrawal"
    assert said(several(agent, "too_late", reason_code="other", reason="She was told.")) == ["1 request was resolved"]
    sent = own.browser(Role.SUPERVISOR).get("/console/open?tab=withdrawals&ticked=all").form("Assign").fields
    sent |= {"csrf_token": agent.token, "doing": "resolve", **KEPT, "tab": "withdrawals"}
    sent.pop("taken_by")
    (text,) = said(agent.post("/console/open", sent))
    assert text.endswith(f"{changed}: only a supervisor can do that")
    assert own.contact(changed).is_open


def test_several_are_taken_or_assigned(own, ben):
    orders = [own.register() for _ in range(3)]
    for order in orders:
        own.record(order)
    agent, supervisor = own.browser(Role.AGENT), own.browser(Role.SUPERVISOR)
    page = agent.press(agent.get("/console/open?tab=in_time&ticked=all"), "Take what is ticked")
    assert said(page) == ["3 requests were taken"]
    page = supervisor.get("/console/open?tab=in_time&ticked=all")
    page = supervisor.press(page, "Assign", taken_by=ben.user_id)
    assert (said(page), {taken_by(own, order) for order in orders}) == (["3 requests were assigned"], {ben.user_id})
    page = agent.press(agent.get("/console/open?tab=in_time&ticked=all"), "Take what is ticked")
    assert said(page)[0].startswith("0 requests were taken 3 were left alone:")
    assert said(page)[0].count(": taken already (Taken by: ben)") == 3
    assert "changed" not in said(page)[0], "nothing has: the page showed that they were taken"
    german = agent.get(page.address.partition("localhost")[2] + "&lang=de")
    assert german.text.count(": hat schon jemand übernommen (In Arbeit bei: ben)") == 3


def test_who_deals_with_an_order_is_named_though_another_request_about_it_is_ticked(own, ben):
    order = own.register()
    first = own.record(order, intent=Intent.WITHDRAWAL)
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        assignments.assign(uow, first, ben.user_id)
    own.record(order)
    agent = own.browser(Role.AGENT)
    page = agent.press(agent.get("/console/open?tab=in_time&ticked=all"), "Take what is ticked")
    assert said(page)[0].endswith(f"{order}: taken already (Taken by: ben)")


def test_after_several_the_same_page_with_as_many_rows_is_shown_or_the_last_that_there_is(own):
    for _ in range(7):
        own.record(own.register())
    agent = own.browser(Role.AGENT)
    for done in ("3 requests were resolved", "1 request was resolved"):
        page = agent.get("/console/open?tab=in_time&page=2&rows=3&ticked=all")
        page = agent.press(page, "Resolve what is ticked", **KEPT)
        assert said(page) == [done]
        assert (page.query["page"], page.query["rows"]) == ("2", "3")
        assert list(page.main.every("input", type="checkbox"))
        assert "There is none" not in page.text


def test_several_contacts_without_an_order_are_closed_for_a_reason_and_opened_again(own):
    *kept, meanwhile = (own.keep("A-?") for _ in range(3))
    agent = own.browser(Role.AGENT)
    page = several(agent, "unmatched")
    assert (page.status, set(page.errors)) == (422, {"reason"})
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        number = REQUEST_NUMBER.spoken(unmatched.resolve(uow, meanwhile, "By somebody else.").request_number)
    page = agent.press(page, "Resolve what is ticked", reason="Another shop's.")
    assert said(page) == [f"2 requests were resolved 1 was left alone: {number}: has been resolved meanwhile"]
    page = agent.get("/console/recent")
    page = agent.follow(page, next(link for link in page.links if link.startswith("Reopen")))
    assert page.path in {f"/console/unmatched/{one}" for one in kept}
    page = agent.press(page, "Reopen the request", reason_code="entered_in_error")
    assert page.h1 == "Not matched to an order yet"


def test_a_request_is_reopened_from_the_list_of_what_was_done(own):
    order = own.register()
    own.record(order)
    agent = own.browser(Role.AGENT)
    several(agent, **KEPT)
    page = agent.get("/console/recent")
    assert [one.text for one in page.main.every("td")][:1] == [order]
    page = agent.follow(page, f"Reopen {order}")
    page = agent.press(page, "Reopen the request", reason_code="customer_asked_again")
    assert (page.h1, own.contact(order).is_open) == ("An open request", True)
    assert order not in agent.get("/console/recent").text


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({}, {"reason_code"}),
        ({"reason_code": "other"}, {"reason"}),
        ({"reason_code": "duplicate"}, {"reason_code"}),
        ({"reason_code": "gone"}, {"reason_code"}),
        ({**KEPT, "reason": "4111 1111 1111 1111"}, {"reason"}),
    ],
)
def test_a_form_that_does_not_fit_is_shown_again_with_its_ticks(own, typed, wrong):
    order = own.register(service_provided_at=TOO_LONG_AGO)
    contact = own.record(order)
    agent = own.browser(Role.AGENT)
    form = agent.get("/console/open?tab=too_late&ticked=all").form("Resolve what is ticked")
    page = agent.post(form.action.partition("localhost")[2], form.fields | {"doing": "resolve"} | typed)
    assert (page.status, set(page.errors) <= wrong, own.contact(order).is_open) == (422, True, True)
    assert page.errors
    assert f"pick-{contact}" in page.form("Resolve what is ticked").fields


@pytest.mark.parametrize("picked", [[], ["con_1"], ["x" * 30], ["unm_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"], ["con_" + "0" * 26]])
def test_a_tick_of_nothing_changes_nothing(own, picked):
    agent = own.browser(Role.AGENT)
    sent = {"csrf_token": agent.token, "doing": "take", "idempotency_key": "k", "tab": "in_time"}
    position = own.position
    page = agent.post("/console/open", sent | {f"pick-{one}": "in_time 1" for one in picked})
    assert (page.status in {200, 422}, own.position) == (True, position)


def test_an_address_cannot_claim_what_was_not_done(own, now):
    own.record(own.register())
    agent = own.browser(Role.AGENT)
    page = agent.press(agent.get("/console/open?tab=in_time&ticked=all"), "Take what is ticked")
    path = page.address.partition("localhost")[2]
    assert said(agent.get(path)) == ["1 request was taken"], "loaded again"
    assert said(own.browser(Role.AGENT).get(path)) == [], "another session did it"
    assert said(agent.get("/console/open?result=WyJyZXNvbHZlIiwgMTk3LCAwLCBbXV0")) == []
    now.shift(timedelta(minutes=6))
    assert said(agent.get(path)) == [], "that was a while ago"


def test_a_role_that_only_reads_has_nothing_to_tick(own):
    own.record(own.register())
    page = own.browser(Role.AUDITOR).get("/console/open")
    assert [form for form in page.forms if "Take what is ticked" in form.buttons] == []
    assert not list(page.main.every("input", type="checkbox"))
    assert listed(own.browser(Role.AUDITOR), "in_time")


def test_a_request_that_is_not_too_late_any_more_is_shown_so_and_is_not_resolved_with_others(own):
    late, corrected = own.register(service_provided_at=TOO_LONG_AGO), own.register(service_provided_at=TOO_LONG_AGO)
    for order in (late, corrected):
        own.record(order)
    with own.store.write(own.principal(Role.SUPERVISOR)) as uow:
        before = uow.orders.get(corrected)
        at = parse_instant("2026-04-02T14:20:00Z")
        facts = OrderFacts(order_id=corrected, customer_ref="K-20391", service_provided_at=at, region="DE-BY")
        orders.correct(uow, facts, "a slip", [before.revision])
    supervisor = own.browser(Role.SUPERVISOR)
    shown = {cells["Order"]: (cells["Deadline"], cells["Decided then"]) for cells in rows(supervisor, "too_late")}
    assert shown[late] == ("Tue 31 Mar", "Refused")
    assert shown[corrected] == ("Wed 8 Apr", "Refusedtoday Can be cancelled")
    page = several(supervisor, "too_late", reason_code="other", reason="They were told.")
    assert said(page)[0].startswith("1 request was resolved 1 was left alone:")
    assert (own.contact(late).is_open, own.contact(corrected).is_open) == (False, True)

"""What auditors see: the journal by type, order, actor and time, page by page, and each of its events."""

from contextlib import closing

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from tests.console.conftest import opened


def positions(page):
    """The positions that a page of the journal shows."""
    return [int(next(row.every("td")).text) for body in page.root.every("tbody") for row in body.every("tr")]


@pytest.fixture(scope="module")
def filled(site):
    """An order with events of an agent's, and more events than fit two pages."""
    order = site.register("J-1")
    site.record(order)
    for _ in range(110):
        site.register()
    return order


def test_every_page_can_be_reached_forwards_and_backwards(site, auditor, filled):
    page, forwards = auditor.get("/console/journal"), []
    while True:
        forwards += positions(page)
        if "Next page" not in page.links:
            break
        page = auditor.follow(page, "Next page")
    assert forwards == list(range(site.end, 0, -1))
    backwards = positions(page)
    while "Previous page" in page.links:
        page = auditor.follow(page, "Previous page")
        backwards = positions(page) + backwards
    assert backwards == forwards
    assert "Previous page" not in page.links


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMIN])
def test_the_journal_is_filtered_by_type_order_and_actor(site, filled, role):
    browser = site.browser(role)
    page = browser.press(browser.get("/console/journal"), "Show", type="contact.recorded", order_id=filled)
    (row,) = page.root.one("tbody").every("tr")
    assert "contact recorded" in row.text
    assert browser.get(page.address).source.count("<tr>") == page.source.count("<tr>"), "the address is a link to it"
    agent = site.principal(Role.AGENT).actor
    page = browser.press(page, "Show", type="", order_id="", actor=agent)
    assert positions(page)
    event = browser.follow(page, str(positions(page)[0]))
    assert agent in event.source
    assert set(positions(browser.follow(event, "all entries by them"))) == set(positions(page))
    by_name = browser.press(page, "Show", actor="agent-1")
    assert bool(positions(by_name)) is (role is Role.ADMIN), "an auditor sees no names, and finds nobody by one"


@pytest.mark.parametrize("spelt", ["j-1", "J 1", "#J-1", "J\u20131"])
def test_an_order_is_filtered_by_any_spelling_of_its_number(auditor, filled, spelt):
    """Otherwise, the journal would say that nothing happened to it."""
    page = auditor.press(auditor.get("/console/journal"), "Show", order_id=spelt)
    assert page.query["order_id"] == filled
    assert len(positions(page)) > 1


def test_what_no_order_has_is_sought_as_it_is_typed(auditor, filled):
    """The journal keeps the numbers of orders that are forgotten."""
    page = auditor.press(auditor.get("/console/journal"), "Show", order_id="gone-1")
    assert (page.status, page.query["order_id"], positions(page)) == (200, "gone-1", [])


def test_filters_stay_from_page_to_page(site, auditor, filled):
    page = auditor.press(auditor.get("/console/journal"), "Show", type="order.registered")
    found = positions(page)
    page = auditor.follow(page, "Next page")
    assert page.form("Show").fields["type"] == "order.registered"
    assert positions(page)[0] < found[-1]


def test_times_are_read_as_people_write_them_and_become_instants_in_the_address(site, auditor, filled):
    with site.store.read(site.principal(Role.ADMIN)) as uow:
        total = len(uow.events.after(0, 10_000, None, audit=True))
    page = auditor.press(auditor.get("/console/journal"), "Show", since="2.4.2026", until="yesterday", type="")
    assert page.query["since"] == "2026-04-02T00:00:00Z"
    assert page.query["until"] == "2026-04-08T00:00:00Z", "the end of yesterday"
    before = positions(page)
    page = auditor.press(page, "Show", since="8 April 2026", until="", type="order.promised")
    after = positions(page)
    assert before
    assert after
    assert max(before) < min(after)
    assert len(before) < total


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("field", "typed"), [("since", "some day"), ("until", "31.2.2026"), ("type", "nothing"), ("order_id", "x" * 300)]
)
def test_a_wrong_filter_is_an_error_beside_its_field_and_what_was_typed_stays(site, language, field, typed):
    page = site.browser(Role.AUDITOR, language).get(f"/console/journal?{field}={typed}&actor=usr_1")
    assert page.status == 422
    assert page.errors.keys() == {field}
    fields = page.form({"en": "Show", "de": "Anzeigen"}[language]).fields
    assert fields["actor"] == "usr_1"
    assert field == "type" or fields[field] == typed
    assert not list(page.root.every("tbody"))


def test_every_event_has_a_page_with_its_data_and_its_seal(site, auditor, filled):
    (position,) = positions(auditor.get(f"/console/journal?type=contact.recorded&order_id={filled}"))
    page = auditor.get(f"/console/journal/{position}")
    assert page.status == 200
    assert page.h1 == f"Entry {position}: contact recorded"
    assert page.facts["Type"] == "contact.recorded"
    assert page.facts["Seal"] == "holds"
    assert len(page.facts["Hash"]) == 64
    assert '"' in page.main.one("pre").raw
    assert auditor.follow(page, "The earlier entry").path == f"/console/journal/{position - 1}"
    for nowhere in (0, site.end + 1, 10**30):
        assert auditor.get(f"/console/journal/{nowhere}").status == 404


def test_no_link_leads_to_an_entry_that_is_missing():
    own = opened()
    with closing(own.store):
        auditor = own.browser(Role.AUDITOR)
        with own.store.write(COMMAND_LINE) as uow:
            uow.tx.run("DELETE FROM events WHERE position = 4")
        before, after = (auditor.get(f"/console/journal/{position}") for position in (3, 5))
        assert "The later entry" not in before.links
        assert "The later entry is missing: verify the journal." in before.text
        assert "The earlier entry" not in after.links
        assert "The earlier entry is missing: verify the journal." in after.text


def test_nothing_found_is_said(auditor):
    assert "There is none." in auditor.get("/console/journal?order_id=nothing").text


def test_only_auditors_see_the_journal(site):
    assert site.browser(Role.PRODUCT).get("/console/journal/1").status == 403

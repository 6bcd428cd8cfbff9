"""The queue of open requests: its tabs, its order, and the next one."""

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Intent
from refunds.service import resolutions
from refunds.service.resolutions import Resolution, ResolutionReason
from tests.console.conftest import TOO_LONG_AGO, opened

TABS = {
    "en": ["In time", "Needs a supervisor", "Too late", "Not matched to an order", "Withdrawals", "Without a service date"],
    "de": ["Rechtzeitig", "Teamleitung nötig", "Zu spät", "Nicht zugeordnet", "Widerrufe", "Ohne Leistungsdatum"],
}  # fmt: skip


@pytest.fixture
def own(engine):
    """An installation of its own, so that nothing else is open."""
    site = opened(engine=engine)
    yield site
    site.store.close()


def tabs(page):
    """The tabs of the queue with their counts."""
    return [one.text for one in page.root.one("nav", class_="tabs").every("a")]


def listed(browser, tab, number=1):
    """The first cells of a page of a tab."""
    page = browser.get(f"/console/open?tab={tab}&page={number}")
    return [one.text for one in page.main.every("th") if one["scope"] == "row"]


@pytest.mark.parametrize("lang", ["en", "de"])
def test_each_kind_of_what_is_open_has_its_tab_and_the_menu_counts_all(own, lang):
    late, timely, nothing, withdrawn = (
        own.register(service_provided_at=at) for at in (TOO_LONG_AGO, "2026-04-02T14:20:00Z", None, TOO_LONG_AGO)
    )
    for order in (late, timely, timely, nothing):
        own.record(order)
    own.record(withdrawn, intent=Intent.WITHDRAWAL)
    own.record(withdrawn)
    own.keep("A-?")
    browser = own.browser(Role.AGENT, lang)
    page = browser.get("/console/open")
    assert tabs(page) == [f"{name} {n}" for name, n in zip(TABS[lang], (1, 0, 1, 1, 1, 1), strict=True)]
    assert page.title.startswith(f"{ {'en': 'Open requests', 'de': 'Offene Anfragen'}[lang] }: {TABS[lang][0]}")
    assert listed(browser, "in_time") == [timely]
    assert listed(browser, "too_late") == [late]
    assert listed(browser, "withdrawals") == [withdrawn]
    assert listed(browser, "without_date") == [nothing]
    assert len(listed(browser, "unmatched")) == 1
    assert page.root.one("span", class_="count").text == "5"


def test_the_earliest_deadline_comes_first_page_by_page_and_back(own):
    later = [own.register(service_provided_at="2026-04-07T10:00:00Z") for _ in range(20)]
    sooner = [own.register(service_provided_at="2026-04-02T14:20:00Z") for _ in range(20)]
    for order in [*later, *sooner]:
        own.record(order)
    agent = own.browser(Role.AGENT)
    first, second = listed(agent, "in_time"), listed(agent, "in_time", 2)
    assert ({*first[:20]}, len(first), {*second}) == ({*sooner}, 25, {*later} - {*first})
    page = agent.get("/console/open?tab=in_time&page=2")
    assert "Next page" not in page.links
    assert agent.follow(page, "Previous page").query["page"] == "1"


def test_the_next_one_is_an_action_away_and_is_never_the_same(own):
    orders = sorted(own.register() for _ in range(3))
    contacts = {own.record(order): order for order in orders}
    kept = own.keep("A-?")
    agent = own.browser(Role.AGENT)
    page = agent.get("/console/open?tab=in_time")
    page = agent.follow(page, listed(agent, "in_time")[0])
    seen = []
    for _ in range(3):
        contact = page.path.rpartition("/")[2]
        seen.append(contacts[contact])
        with own.store.write(COMMAND_LINE) as uow:
            resolutions.resolve(uow, contact, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER))
        page = agent.follow(agent.get(page.path), "Next open request")
    assert sorted(seen) == orders
    assert (page.path, page.query) == ("/console/open", {"tab": "in_time"}), "the tab is done"
    page = agent.get("/console/open/next?tab=unmatched")
    assert page.path == f"/console/unmatched/{kept}"
    assert agent.follow(page, "Next open request").path == "/console/open"


@pytest.mark.parametrize("query", ["tab=all", "page=0", "page=x", "page=99999", "tab=in_time&page=-1"])
def test_a_tab_or_a_page_that_is_none_is_a_problem(own, query):
    assert own.browser(Role.AGENT).get(f"/console/open?{query}").status in {400, 422}


def test_a_page_after_the_last_shows_the_last(own):
    agent = own.browser(Role.AGENT)
    page = agent.get("/console/open?tab=in_time&page=7")
    assert (page.status, "There is none" in page.text) == (200, True)
    for _ in range(4):
        own.record(own.register())
    every = listed(agent, "in_time")
    assert (len(every), listed(agent, "in_time", 2)) == (4, every)
    page = agent.get("/console/open?tab=in_time&page=7&rows=3")
    assert ("There is none" in page.text, "Next page" in page.links) == (False, False)
    assert agent.follow(page, "Previous page").query["page"] == "1"


def test_only_what_one_has_taken_is_shown(own):
    agent, other = own.browser(Role.AGENT), own.browser(Role.SUPERVISOR)
    mine, theirs, nobodys = (own.record(own.register()) for _ in range(3))
    kept = own.keep("A-?")
    assert "Only what I have taken" not in agent.get("/console/open").text
    for browser, name in ((agent, mine), (other, theirs), (agent, kept)):
        browser.post(f"/console/open/{name}", {"csrf_token": browser.token, "doing": "take"})
    page = agent.follow(agent.get("/console/open"), "Only what I have taken")
    assert [one.rpartition(" ")[2] for one in tabs(page)] == ["1", "0", "0", "1", "0", "0"]
    assert f"/console/contacts/{mine}" in page.links.values()
    page = agent.get("/console/open?tab=too_late&mine=yes")
    assert "You have taken none of these." in page.text
    assert agent.follow(page, "Show all").query == {}
    page = agent.get("/console/open?tab=in_time&mine=yes")
    page = agent.press(
        page, "Take what is ticked", **{f"pick-{mine}": page.main.one("input", id=f"pick-{mine}")["value"]}
    )
    assert page.query["mine"] == "yes"
    assert nobodys not in page.source


def test_an_empty_tab_says_whether_others_have_some(own):
    browser = own.browser(Role.AGENT)
    assert "Every request has been dealt with." in browser.get("/console/open").text
    own.record(own.register())
    text = browser.get("/console/open?tab=too_late").text
    assert "There is none here. Other tabs have some." in text
    assert "Every request" not in text

"""The search in the header of every page: what it finds, what it does not, and for whom."""

from datetime import timedelta

import pytest
import time_machine

from refunds.domain.permissions import Role
from refunds.domain.privacy import LimitKind
from refunds.domain.records import Intent
from refunds.service import privacy, search
from refunds.storage import orders
from tests.console.conftest import NOW, opened

NOT_FOUND = {"en": "Nothing was found", "de": "Nichts gefunden"}


def searched(browser, text, start="/console/"):
    """The page after a search from the header."""
    return browser.submit(browser.get(start).search, search=text)


def links(page):
    """The texts of the links in the list of what was found."""
    return [link.text for item in page.main.every("ul", class_="list") for link in item.every("a")]


@pytest.fixture
def order(site):
    """An order, with a number of its own, of a customer of its own."""
    order = site.register()
    return site.register(f"Shop#{order}-99", customer_ref=f"K-{order}")


def test_what_has_the_number_is_shown_at_once(site, order):
    agent, customer = site.browser(Role.AGENT), f"K-{order.split('#')[1].removesuffix('-99')}"
    issued = site.cancel(order)
    contact = site.contacts(order)[0]
    kept = site.keep("A-?")
    assert searched(agent, order).path.endswith(order.replace("#", "%23"))
    for spelt in (order.upper(), order.lower(), customer, issued.reference, f"#{issued.reference}", f" {order} "):
        assert searched(agent, spelt).title.split(": ")[-1].startswith(order), spelt
    assert contact.number_aloud[:4] in searched(agent, contact.number_aloud).text
    assert searched(agent, contact.number_aloud).path == f"/console/contacts/{contact.contact_id}"
    with site.store.read(site.principal(Role.AGENT)) as uow:
        number = uow.unmatched.get(kept).request_number
    assert searched(agent, number).path == f"/console/unmatched/{kept}"


def found_everywhere(agent, text):
    """Search for a text, and check it on the first page."""
    assert "Nothing was found" not in searched(agent, text).text, text
    assert agent.press(agent.get("/console/"), "Check", q=text).status == 200, text


@pytest.mark.parametrize("dash", "\u2010\u2011\u2012\u2013\u2014\u2212")
def test_a_number_with_other_hyphens_is_found(site, dash):
    """Word processors and mail programs put them in."""
    order = site.register(f"TEXT-{ord(dash)}-7", customer_ref=f"K-TEXT-{ord(dash)}")
    site.cancel(order)
    number, agent = site.contacts(order)[0].number_aloud, site.browser(Role.AGENT)
    for text in (order, f"K-TEXT-{ord(dash)}", number):
        found_everywhere(agent, text.replace("-", dash))
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    page = agent.press(agent.get("/console/"), "Check", q=wrong.replace("-", dash))
    assert "check digit" in page.errors["q"]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_a_number_is_found_with_the_spaces_and_marks_of_a_text(site, space):
    """A full stop or a comma is soon copied, too."""
    order = site.register(f"TEXT-{ord(space)}-8", customer_ref=f"K-TEXT-{ord(space)}")
    issued, agent = site.cancel(order), site.browser(Role.AGENT)
    number = site.contacts(order)[0].number_aloud
    for text in (order, f"{order}.", f"{order}, ", issued.reference_aloud, number, f"#{number}."):
        found_everywhere(agent, text.replace("-", space).replace(" ", space))


@pytest.mark.parametrize("spelt", ["{bare}", "#{bare}", "{lower}", "{spaced}", "#{lower}"])
def test_a_number_is_found_without_its_hyphens_if_only_one_order_can_be_meant(site, spelt):
    number = site.register(f"WEB-{site.register()}-7")
    lower = number.lower()
    text = spelt.format(bare=number.replace("-", ""), lower=lower.replace("-", ""), spaced=number.replace("-", " "))
    agent = site.browser(Role.AGENT)
    assert agent.press(agent.get("/console/"), "Check", q=text).path == f"/console/orders/{number}"
    assert searched(agent, text).path == f"/console/orders/{number}"
    site.register(lower.replace("-", " "))
    assert agent.press(agent.get("/console/"), "Check", q=text.replace(" ", "")).status == 422, "two can be meant"


def test_all_that_can_be_meant_without_hyphens_are_listed(site):
    orders = [site.register(name) for name in ("SPELT 12-34", "spelt1234")]
    for text in ("spelt 1234", "#SPELT-1234"):
        assert sorted(links(searched(site.browser(Role.AGENT), text))) == sorted(orders), text


def test_a_customer_number_is_found_in_any_case_and_with_a_sign(site):
    order = site.register(customer_ref="K-SPELT-1")
    for spelt in ("k-spelt-1", "K-SPELT-1", "#K-SPELT-1", "#k-spelt-1"):
        assert searched(site.browser(Role.AGENT), spelt).path == f"/console/orders/{order}"


def test_several_are_listed_an_order_and_a_customer_of_one_name_too(site):
    both = site.register()
    second = site.register(customer_ref=both)
    assert links(searched(site.browser(Role.AGENT), both)) == [both, second]


def test_a_part_of_a_number_is_found_in_any_case_at_any_place(site, order):
    agent, part = site.browser(Role.AGENT), order.split("#")[1]
    for text in (part, f"hop#{part}", f"SHOP#{part}", part.lower()):
        assert searched(agent, text).title.split(": ")[-1].startswith(order)
    for text in (f"{part[:-3]}%99", f"{part[:-3]}_99", "!%", "%%%%", "____", "----", "- - -"):
        assert NOT_FOUND["en"] in searched(agent, text).text, "it is no pattern"


def test_older_orders_are_found_by_their_beginning(site, monkeypatch):
    monkeypatch.setattr("refunds.storage.orders._NEWEST", 2)
    old = site.register("OLDER-4711-x")
    for _ in range(3):
        site.register()
    agent = site.browser(Role.AGENT)
    for text in ("OLDER-47", "older 47", "Older47", "OLDER4711X", "#older-4711x"):
        assert searched(agent, text).title.split(": ")[-1].startswith(old), text
    assert NOT_FOUND["en"] in searched(agent, "R-4711-x").text


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_number_and_a_beginning_are_found_by_an_index(tmp_path, engine):
    site = opened(directory=tmp_path, engine=engine)
    with site.store.write(site.principal(Role.AGENT)) as uow:
        if engine == "postgresql":
            uow.tx.run("SET LOCAL enable_seqscan = off")
        for condition in orders.HAS_NUMBER, orders.BEGINS:
            explain = "EXPLAIN" + " QUERY PLAN" * (engine == "sqlite")
            plan = uow.tx.all(f"{explain} SELECT 1 FROM orders WHERE {condition}", bare="a1", beyond="a2")  # noqa: S608
            assert "orders_by_bare_number" in str([dict(step) for step in plan])


@pytest.mark.parametrize(
    "text", ["+49 171 555 0001", "0171 5550001", "kim.search@example.org", "KIM.SEARCH@", "TICK-4711"]
)
def test_contacts_are_found_by_what_the_customer_left(site, text):
    order = site.register()
    site.record(order, from_detail="+491715550001", ticket_ref="TICK-4711", intent=Intent.QUESTION)
    site.record(order, from_detail="kim.search@example.org", channel="email", intent=Intent.QUESTION)
    kept = site.keep("A-?", from_detail="+491715550001")
    found = searched(site.browser(Role.AGENT), text)
    assert found.status == 200
    assert any(kept in link for link in found.links.values()) == ("555" in text)
    assert order in found.text


def test_only_the_newest_contacts_are_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "OPENED", 1)
    site = opened(directory=tmp_path, engine="sqlite")
    order = site.register()
    site.record(order, ticket_ref="TICK-OLD-1", intent=Intent.QUESTION)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        site.record(order, ticket_ref="TICK-NEW-1", intent=Intent.QUESTION)
        agent = site.browser(Role.AGENT)
        assert searched(agent, "TICK-NEW-1").path.startswith("/console/contacts/")
        assert NOT_FOUND["en"] in searched(agent, "TICK-OLD-1").text


def test_what_a_customer_restricted_or_an_auditor_may_not_read_is_not_found(site):
    order = site.register(customer_ref="K-restricted-search")
    site.record(order, from_detail="+491715550077", intent=Intent.QUESTION)
    auditor = site.browser(Role.AUDITOR)
    for text in ("K-restricted-search", "+491715550077"):
        assert NOT_FOUND["en"] in searched(auditor, text, "/console/journal").text
    with site.store.write(site.principal(Role.PRIVACY)) as uow:
        privacy.limit(uow, uow.orders.get(order).customer_id, LimitKind.RESTRICTION, "a dispute")
    assert NOT_FOUND["en"] in searched(site.browser(Role.AGENT), "+491715550077").text
    assert searched(site.browser(Role.PRIVACY), "+491715550077", "/console/policies").status in {200, 422}


@pytest.mark.parametrize("lang", ["en", "de"])
@pytest.mark.parametrize(
    "text", ["", " ", "7", "abc", "x" * 500, "a\nb", "'; DROP TABLE orders; --", "\U0010ffff" * 5, "no such thing"]
)
def test_a_search_that_finds_nothing_says_what_to_do(site, lang, text):
    page = searched(site.browser(Role.AGENT, lang), text)
    assert (page.status, page.lang) == (422, lang)
    assert page.errors or page.main.every("div", class_="errors")


def test_nothing_of_what_is_searched_is_in_an_address(site, order):
    site.record(order, from_detail="+491715550088", intent=Intent.QUESTION)
    page = searched(site.browser(Role.AGENT), "+491715550088")
    assert "5550088" not in page.address


@pytest.mark.parametrize(
    "path", ["/console/", "/console/open", "/console/recent", "/console/policies", "/console/search"]
)
def test_every_page_of_a_reader_of_orders_has_the_search(site, path):
    assert site.browser(Role.SUPERVISOR).get(path).search.fields["search"] == ""
    assert not list(site.browser(Role.PRODUCT).get("/console/policies").root.every("form", role="search"))


@pytest.mark.parametrize("spelt", ["{}", "#{}.", "\u200e{}"])
def test_a_misheard_number_is_called_misheard_as_at_check(site, spelt):
    """It is not said that nothing has it, as if the customer had never cancelled."""
    order = site.register()
    reference, agent = site.cancel(order).reference_aloud, site.browser(Role.AGENT)
    for number in (reference, site.contacts(order)[0].number_aloud):
        wrong = spelt.format(number[:-1] + str((int(number[-1]) + 1) % 10))
        assert "check digit" in searched(agent, wrong).text, number


def test_a_telephone_number_of_ten_digits_that_nobody_has_is_not_called_misheard(agent):
    """It may be a reference whose check digit is wrong, but the search also takes telephone numbers."""
    for number in ("030 1234567", "030 1234568"):
        page = searched(agent, number)
        assert "Nothing has this number. If it is a reference" in page.text

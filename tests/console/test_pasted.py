"""What is pasted from mails and other programs has characters that nobody sees: they change nothing."""

import pytest

from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind
from tests.console.test_search import searched

PASTED = ["\u200e{}", "\u202a{}\u202c", "{}\u200b", "\ufeff{}", "\u00ad{}"]
"""Texts with a mark of direction, an embedding, a blank without width, a byte order mark, a soft hyphen."""

SPACES = ["\u00a0", "\u202f", "\u2009", "\t"]


@pytest.mark.parametrize("frame", PASTED)
def test_an_order_is_found_by_a_number_with_characters_that_nobody_sees(site, agent, frame):
    order = site.register()
    for page in (
        agent.press(agent.get("/console/"), "Check", q=frame.format(order)),
        searched(agent, frame.format(order)),
    ):
        assert page.path.partition("?")[0] == f"/console/orders/{order}"


@pytest.mark.parametrize("frame", PASTED)
def test_the_fields_of_one_line_are_recorded_as_they_are_seen(site, agent, frame):
    seen = {"order_hint": "the blue one", "from_detail": "+4989123456", "ticket_ref": "T-5", "contact_point": "+49301"}
    page = agent.get("/console/unmatched/new")
    typed = {name: frame.format(text) for name, text in seen.items()}
    page = agent.press(page, "Record", received_at=frame.format("7.4.2026 23:05"), **typed)
    assert page.h1 == "Not matched to an order yet"
    assert page.facts["Said of the order"] == "the blue one"
    assert (page.facts["From"], page.facts["Ticket"]) == ("+4989123456", "T-5")
    assert page.facts["Received"].startswith("Tuesday, 7 April 2026, 23:05")


@pytest.mark.parametrize("space", SPACES)
def test_any_space_is_a_space(agent, space):
    page = agent.get("/console/unmatched/new")
    typed = {"order_hint": "the blue one", "from_detail": "+49 89 123456", "ticket_ref": "T 5"}
    page = agent.press(page, "Record", **{name: text.replace(" ", space) for name, text in typed.items()})
    assert (page.facts["From"], page.facts["Ticket"]) == ("+4989123456", "T 5")


def test_a_note_stays_as_it_was_written(site, agent):
    """A family in one picture has joiners, and so have Persian words."""
    note = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\n\tsaid twice"
    order = site.register()
    agent.press(agent.get(f"/console/orders/{order}/record?intent=question"), "Record", note=note)
    assert site.contact(order).note == note


@pytest.mark.parametrize("spelt", [one.format("K-77") for one in PASTED] + ["k-77", "#K-77", "K\u201377", "K-77."])
def test_a_person_who_asks_about_their_data_is_found_by_any_spelling_that_check_finds(site, privacy, spelt):
    """Otherwise, they would be told that nothing is held about them."""
    order = site.register(customer_ref="K-77")
    page = privacy.get("/console/data-requests/new")
    page = privacy.press(page, "Enter", customer_ref=spelt, kind="access", channel="email")
    assert site.data_request(page.path.rpartition("/")[2]).customer_id == site.customer(order)


def test_a_correction_of_one_line_is_stored_as_it_is_seen(site, privacy):
    order = site.register(customer_ref="K-78")
    contact = site.record(order, Role.AGENT, ticket_ref="T-1", note="one")
    path = f"/console/data-requests/{site.asks(DataRequestKind.RECTIFICATION, 'K-78').request_id}"
    typed = {f"contacts:{contact}:ticket_ref": "\u200eT\u00a02", f"contacts:{contact}:note": "a\u200db"}
    page = privacy.press(privacy.get(path), "Correct", **typed)
    assert (page.status, page.errors) == (200, {})
    assert (site.contact(order).ticket_ref, site.contact(order).note) == ("T 2", "a\u200db")

"""What the pages say about a customer who was erased, in the reader's own words, and how an agent goes on with them."""

from itertools import count

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind, DataRequestOutcome, ErasureReason, Fee, LimitKind
from refunds.domain.records import Intent, RevocationReason
from refunds.domain.resolutions import ResolutionReason
from refunds.service import data_requests, privacy, resolutions, settlements
from refunds.service.data_requests import Given
from refunds.service.resolutions import Resolution
from tests.console.test_languages import texts_in

CODES = {"entered_in_error", "customer_kept_order", "answered_in_writing", "[erased]", "[restricted]"}
"""What is stored or answered in English for machines, and must not be on a page in German."""

_numbers = count()


@pytest.fixture
def customer_ref():
    """The reference of a customer of this test alone."""
    return f"K-gone-{next(_numbers)}"


@pytest.fixture
def order(site, customer_ref):
    """An order about which everything was recorded that has a reason or an address."""
    order = site.register(customer_ref=customer_ref, service_provided_at=None)
    done = site.cancel(order, note="A note", from_detail="+4989123456")
    with site.store.write(site.principal(Role.SUPERVISOR)) as uow:
        settlements.revoke(uow, done.cancellation_id, RevocationReason.ENTERED_IN_ERROR, "Another was meant.")
        resolutions.acknowledge(uow, done.contact_id, channel=Channel.PHONE, to="+4989123457")
        resolutions.resolve(
            uow, done.contact_id, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER, reason="They like it.")
        )
    site.record(order, role=Role.AGENT, intent=Intent.QUESTION, from_detail="+4989123456")
    return order


@pytest.fixture
def asked(site, order, customer_ref):
    """Three data requests of its customer: one refused, one extended, and one that costs something."""
    refused, extended, charged = (
        site.asks(DataRequestKind(kind), customer_ref).request_id for kind in ("access", "portability", "access")
    )
    with site.store.write(site.principal(Role.PRIVACY)) as uow:
        data_requests.close(uow, refused, Given(DataRequestOutcome.REFUSED, "It was not her."))
        data_requests.extend(uow, extended, "It is a lot.")
        data_requests.note_fee(uow, charged, Fee.FURTHER_COPY, "The third copy.")
    return refused, extended, charged


def erase(site, order):
    """Erase the customer of an order."""
    with site.store.write(site.principal(Role.PRIVACY)) as uow:
        privacy.erase(uow, uow.orders.get(order).customer_id, ErasureReason.REQUEST, "she insists")


def restrict(site, order):
    """Restrict the use of the data of an order's customer."""
    with site.store.write(site.principal(Role.PRIVACY)) as uow:
        privacy.limit(uow, uow.orders.get(order).customer_id, LimitKind.RESTRICTION, None)


@pytest.mark.parametrize("then", [erase, restrict, lambda *_: None], ids=["erased", "restricted", "kept"])
def test_pages_in_german_have_no_word_for_machines(site, order, asked, then):
    then(site, order)
    supervisor, officer = (site.browser(role, "de") for role in (Role.SUPERVISOR, Role.PRIVACY))
    contacts = [f"/console/contacts/{one.contact_id}" for one in site.contacts(order)]
    of_order = [f"/console/orders/{order}{page}" for page in ("", "/history", "/evidence")]
    of_requests = [f"/console/data-requests/{name}" for name in asked]
    read = [supervisor.get(path) for path in (*contacts, *of_order)]
    read += [officer.get(path) for path in (*of_requests, f"{of_requests[2]}/export?language=de")]
    assert [page.status for page in read] == [200] * len(read)
    for page in read:
        for text in texts_in(page.html, "de"):
            assert not [code for code in CODES if code in text], (page.path, text)


def test_the_words_for_the_person_leave_out_a_reason_that_was_erased(site, order, asked):
    erase(site, order)
    officer = site.browser(Role.PRIVACY, "de")
    for name in asked:
        page = officer.get(f"/console/data-requests/{name}")
        assert "Text für die Person" in page.headings
        assert "Der Grund:" not in page.text
        assert "The reason:" not in page.text


def test_the_evidence_says_why_it_was_revoked_and_resolved(site, order, supervisor):
    text = supervisor.get(f"/console/orders/{order}/evidence").text
    assert "Entered in error: Another was meant." in text
    assert "The customer keeps the order: They like it." in text


def test_the_evidence_names_the_region_in_words(site):
    order = site.register()
    page = site.browser(Role.SUPERVISOR, "de").get(f"/console/orders/{order}/evidence")
    assert page.facts["Region"] == "Bayern (DE-BY)"
    assert "So wurden die Tage gezählt (Bayern)" in page.text


def test_an_agent_is_told_how_to_record_a_request_of_an_erased_customer(site, order, agent):
    erase(site, order)
    page = agent.get(f"/console/orders/{order}/record?intent=withdrawal")
    refused = agent.press(page, "Record", note="It was urgent.")
    assert refused.status == 409
    assert "Leave out the ticket, the note" in refused.main.one("div", role="alert").text
    assert agent.press(refused, "Record", note="").h1 == "An open withdrawal"

"""What an order was told, on the pages of the console and on the evidence to print."""

from datetime import UTC, date, datetime

import pytest

from refunds.domain.holidays_data import decreed_until
from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Basis, Intent, OverrideKind
from refunds.service import orders
from refunds.service.orders import OrderFacts
from tests.changed_data import lost_country, other_holidays
from tests.console.test_on_record import buttons
from tests.console.test_regions import PROVISIONAL

UNDECIDED = {
    "en": "A supervisor must decide whether the request is in time",
    "de": "Die Teamleitung muss entscheiden, ob die Anfrage rechtzeitig ist",
}
WHY = {
    "en": "The customer was told a later end before the facts of the order were corrected.",
    "de": "Dem Kunden wurde ein späteres Fristende genannt, bevor die Angaben zur Bestellung korrigiert wurden.",
}
ACCEPT = {"en": "Accept that it was in time and cancel", "de": "Als rechtzeitig anerkennen und stornieren"}


@pytest.fixture
def told(site, now):
    """An order about which a customer was told a later end than that of the facts as billing corrected them."""
    order = site.register()
    site.record(order, intent=Intent.QUESTION)
    with site.store.write(COMMAND_LINE) as uow:
        earlier = parse_instant("2026-04-01T12:00:00+02:00")
        facts = OrderFacts(order_id=order, customer_ref="K-20391", service_provided_at=earlier, region="DE-BY")
        orders.correct(uow, facts, "A day too late.", [1])
    return order


@pytest.fixture
def unknown(site, now):
    """An order whose window is beyond the holiday data."""
    now.move_to(datetime(2026, 12, 30, 12, tzinfo=UTC))
    return site.register(service_provided_at="2026-12-30T10:00:00+01:00", region="LK")


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_later_end_that_was_told_before_a_correction_is_no_refusal(site, told, language):
    page = site.browser(Role.AGENT, language).get(f"/console/orders/{told}")
    assert page.h1 == UNDECIDED[language]
    assert page.text.count(WHY[language]) == 1
    verdict = page.main.one("div", class_="verdict")
    assert verdict["class"] == "verdict wait"
    assert not {"too late", "zu spät"} & {one.text for one in page.main.every("span", class_="what")}
    assert "I am sorry" not in page.text
    assert "A colleague will check whether it is in time" in page.text
    assert page.main.one("button", class_="primary").label == buttons(page)[0]


@pytest.mark.parametrize("order", ["told", "unknown"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_supervisor_accepts_from_the_answer_that_a_request_was_in_time(site, request, order, language):
    order = request.getfixturevalue(order)
    browser = site.browser(Role.SUPERVISOR, language)
    page = browser.get(f"/console/orders/{order}")
    assert page.h1 == UNDECIDED[language]
    assert buttons(page)[0] == ACCEPT[language]
    assert "goodwill" not in page.source
    page = browser.press(page, ACCEPT[language])
    accepted = {
        "en": f"Accept the request about {order} as in time and cancel?",
        "de": f"Anfrage zu {order} als rechtzeitig anerkennen und stornieren?",
    }
    assert page.h1 == accepted[language]
    assert len(page.notices) == 1
    page = browser.submit(page.form(), reason="Mr Li, 4711.")
    done = site.active(order)
    assert (done.basis, done.override_kind) == (Basis.POLICY, OverrideKind.DEADLINE_ACCEPTED)
    rests = {"en": "the policy, approved by you", "de": "Stornobedingungen, genehmigt von Ihnen"}
    assert f"{rests[language]}: Mr Li, 4711." in page.text
    page = browser.get(f"/console/contacts/{done.contact_id}")
    cancelled = {"en": "Cancelled on ", "de": "Storniert am "}[language]
    assert page.main.one("div", class_="verdict").one("p", class_="lead").text.startswith(cancelled)


def test_an_open_request_that_needs_a_supervisor_waits_for_one(site, told, agent, supervisor):
    path = agent.press(agent.get(f"/console/orders/{told}"), "Record the request").path
    page = agent.get(path)
    assert "The request stays on the Open list until a supervisor decides." in page.text
    assert page.text.count(WHY["en"]) == 1
    assert buttons(supervisor.get(path))[:2] == [ACCEPT["en"], "Cancel as goodwill"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_promise_that_is_kept_is_in_the_answer_the_history_and_the_evidence(site, now, language):
    order = site.register()
    browser = site.browser(Role.SUPERVISOR, language)
    # Without the country, nobody can say that the window would end earlier.
    for data in (other_holidays("9.1", lost=[("DE-BY", date(2026, 4, 6))]), lost_country("9.1", "DE")):
        with data:
            answer = browser.get(f"/console/orders/{order}")
        kept = {
            "en": "The promised window stands: today's calendar would be worse for the customer, or does not cover it.",
            "de": "Es gilt die zugesagte Frist: Der heutige Kalender wäre für den Kunden ungünstiger oder reicht nicht so "
            "weit.",
        }
        assert kept[language] in answer.text
    until = {"en": "Until the end of Wednesday, 8 April 2026", "de": "Bis Mittwoch, 8. April 2026, 24 Uhr"}
    history, evidence = (browser.get(f"/console/orders/{order}/{page}") for page in ("history", "evidence"))
    assert until[language] in history.text
    assert until[language] in evidence.text
    assert {"en": "Easter Monday", "de": "Ostermontag"}[language] in evidence.text
    assert {"en": "order registered", "de": "Bestellung erfasst"}[language] == evidence.facts[
        {"en": "Cause", "de": "Anlass"}[language]
    ]
    assert "order.promised" not in history.text + evidence.text


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_history_and_the_evidence_say_which_promises_are_provisional(site, language):
    browser = site.browser(Role.SUPERVISOR, language)
    for year, provisional in ((decreed_until("CN"), False), (decreed_until("CN") + 1, True)):
        order = site.register(service_provided_at=f"{year}-06-01T09:00:00+08:00", region="CN")
        for page in ("history", "evidence"):
            assert (PROVISIONAL[language] in browser.get(f"/console/orders/{order}/{page}").text) is provisional, page


def test_no_line_ends_inside_a_date(site):
    page = site.browser(Role.AGENT, "de").get(f"/console/orders/{site.register()}")
    assert (
        '<h1 tabindex="-1" autofocus>Stornierbar bis Mittwoch, 8.\u00a0April\u00a02026, 24\u00a0Uhr (Ortszeit\u00a0Berlin)'
        in page.source
    )
    assert "8. April" not in page.source

"""Whoever looks at an order sees first what is on record: an open request that was in time, and its three verdicts."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Basis, Intent, RevocationReason
from refunds.service import settlements
from tests.console.conftest import NOW, TOO_LONG_AGO, opened
from tests.console.test_requests import ENDED, answer, official

__all__ = ["official"]  # a fixture

LATER = datetime(2026, 4, 10, 8, tzinfo=UTC)
"""Two days after the window of the orders here has ended: 10:00 in Berlin."""

FRESH = "2026-04-07T10:00:00Z"
"""A service since whose provision there are official contact points; its window ends with 9 April."""

ON_RECORD = {
    "en": "A request was made in time: 8 April 2026, 10:20, by telephone",
    "de": "Rechtzeitige Anfrage liegt vor: 8. April 2026, 10:20 Uhr, telefonisch",
}
BUTTON = {"en": "Cancel as requested", "de": "Auf diese Anfrage hin stornieren"}


def buttons(page):
    """The buttons of the page, in their order, but for those that sign out."""
    return [button for form in page.forms for button in form.buttons]


def later(site, now, role=Role.AGENT, language=None):
    """The browser of a user two days later."""
    now.move_to(LATER)
    return site.browser(role, language)


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_open_request_that_was_in_time_is_the_first_thing_and_has_the_first_button(site, now, language):
    order = site.register()
    contact = site.record(order)
    browser = later(site, now, language=language)
    page = browser.get(f"/console/orders/{order}?channel=email")
    assert page.h1 == ON_RECORD[language]
    assert buttons(page)[0] == BUTTON[language]
    page = browser.submit(page.form(BUTTON[language]))
    assert page.query["contact_id"] == contact
    browser.submit(page.form())
    done = site.active(order)
    assert (done.contact_id, done.basis) == (contact, Basis.POLICY)


def test_goodwill_is_not_offered_for_what_is_the_customers_right(site, now):
    order = site.register()
    site.record(order)
    supervisor = later(site, now, Role.SUPERVISOR)
    page = supervisor.get(f"/console/orders/{order}")
    assert "goodwill" not in page.source
    assert buttons(page)[:3] == ["Cancel as requested", "Record another request", "Only a question"]
    assert "too late" not in page.text
    assert "Your request of 8 April 2026, 10:20 was made in time. Shall I cancel" in page.text.replace("\xa0", " ")


def test_a_request_is_shown_first_while_the_window_still_runs(site, agent):
    order = site.register()
    site.record(order)
    page = agent.get(f"/console/orders/{order}")
    assert page.h1 == ON_RECORD["en"]
    assert "Can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time)" in page.text
    assert buttons(page)[0] == "Cancel as requested"
    assert "Cancel this order" not in buttons(page)


def test_a_request_before_the_service_is_told_of_in_the_past(site, agent, now):
    order = site.register(service_provided_at=None)
    site.record(order)
    site.register(order, service_provided_at="2026-04-08T12:00:00+02:00")
    now.move_to(datetime(2026, 4, 14, 8, tzinfo=UTC))
    page = site.browser(Role.AGENT).get(f"/console/orders/{order}")
    assert page.h1 == ON_RECORD["en"]
    assert "Can be cancelled: the customer asked before the service was provided" in page.text
    assert "has not been provided yet" not in page.text


def test_another_contact_is_judged_by_the_request_and_says_so(site, now):
    order = site.register()
    first = site.record(order)
    agent = later(site, now)
    page = agent.press(agent.get(f"/console/orders/{order}"), "Record another request")
    assert ON_RECORD["en"] in page.links
    assert "Can be cancelled: the request was in time" in page.text
    page = agent.press(page, "Cancel this order")
    assert page.facts["On record"] == ON_RECORD["en"]
    agent.press(page, "Cancel the order now")
    assert site.active(order).contact_id == first
    assert f"{ON_RECORD['en']}." in agent.get(f"/console/orders/{order}/history").text
    evidence = site.browser(Role.SUPERVISOR).get(f"/console/orders/{order}/evidence")
    assert evidence.facts["Judged by request"] == first


def test_a_late_call_is_cancelled_on_the_request_without_a_ticket(site, now):
    order = site.register()
    first = site.record(order)
    agent = later(site, now)
    page = agent.get(f"/console/orders/{order}/cancel?channel=phone")
    assert page.facts["On record"] == ON_RECORD["en"]
    assert agent.press(page, "Cancel the order now").h1 == "The order is cancelled"
    assert site.active(order).contact_id == first
    assert len(site.contacts(order)) == 2


def test_the_open_list_has_one_row_for_each_order(official, now):
    """It shows the earliest request that was in time, and is gone once the order is dealt with."""
    order, other = (official.register(service_provided_at=FRESH) for _ in range(2))
    official.record(order, contact_point="+49 30 999999")
    in_time = official.record(order)
    official.record(other)
    agent = later(official, now)
    official.record(order)
    page = agent.get("/console/open")
    rows = {row.one("a").text: row for row in page.main.one("tbody").every("tr")}
    assert [one for one in rows if one in (order, other)] == [order, other]
    assert "3 requests" in rows[order].text
    assert "request" not in rows[other].text
    assert rows[order].one("a")["href"].endswith(in_time)
    page = agent.press(
        agent.follow(page, order), "Resolve the request", reason_code="customer_kept_order", reason="He keeps it."
    )
    assert not agent.is_open(order)
    assert {one.resolution_reason for one in official.contacts(order)} == {"He keeps it."}


def test_the_open_list_is_shown_page_by_page_one_row_an_order():
    site = opened()
    agent = site.browser(Role.AGENT)
    made = [site.register() for _ in range(30)]
    for _ in range(2):
        for order in made:
            site.record(order)
    rows = [one.text for page in agent.queue() for body in page.main.every("tbody") for one in body.every("a")]
    site.store.close()
    assert sorted(rows) == sorted(made)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ["Can be cancelled", "Needs a supervisor", "Refused"]), ("de", ["Stornierbar", "Teamleitung nötig", "Abgelehnt"])],
)  # fmt: skip
def test_a_verdict_has_three_states_by_word_icon_and_colour(official, language, words):
    browser = official.browser(Role.SUPERVISOR, language)
    made = [official.register(service_provided_at=at) for at in (FRESH, FRESH, TOO_LONG_AGO)]
    contacts = [
        official.record(order, **({"contact_point": "+49 30 999999"} if number == 1 else {}))
        for number, order in enumerate(made)
    ]
    for order, contact, word, tone, icon in zip(
        made, contacts, words, ["good", "wait", "neutral"], ["M5 13", "M12 4a4", "M6 6"], strict=True
    ):
        for page in (browser.get(f"/console/contacts/{contact}"), browser.get(f"/console/orders/{order}/history")):
            shown = next(one for one in page.main.every("span", class_="tag") if word in one.text)
            assert (shown["class"], shown.text) == (f"tag {tone}", word)
        page = browser.get(f"/console/contacts/{contact}")
        verdict = page.main.one("div", class_="verdict")
        assert verdict["class"] == f"verdict slim {tone}"
        assert f'd="{icon}' in page.source
        row = next(row for page in browser.queue() for row in page.main.every("tr") if order in row.text)
        assert word in row.text
        assert word in browser.get(f"/console/orders/{order}/evidence").text


def test_what_needs_a_supervisor_is_never_headed_as_not_refundable(official):
    order = official.register(service_provided_at=FRESH)
    contact = official.record(order, contact_point="+49 30 999999")
    page = official.browser(Role.AGENT).get(f"/console/contacts/{contact}")
    assert "A supervisor must accept the contact point first" in page.text
    assert "The contractual window ended" not in page.text


def test_a_window_that_has_ended_is_told_in_neutral_colours(site, agent):
    page = agent.get(f"/console/orders/{site.register(service_provided_at=TOO_LONG_AGO)}")
    assert page.h1 == ENDED
    assert page.main.one("div", class_="verdict")["class"] == "verdict neutral"


MONEY = {
    "en": ("passed on to billing", "begun the refund", "The refund was made on Wednesday, 8 April 2026"),
    "de": (
        "an die Abrechnung weitergegeben",
        "Die Erstattung läuft",
        "Die Erstattung wurde am Mittwoch, 8. April 2026",
    ),
}


@pytest.mark.parametrize("lang", ["en", "de"])
def test_where_the_money_is_stands_under_the_heading_and_in_the_words(site, lang):
    browser, order = site.browser(Role.AGENT, lang), site.register()
    cancellation = site.cancel(order).cancellation_id
    steps = (
        lambda _: None,
        lambda uow: settlements.begin_refund(uow, cancellation, None),
        lambda uow: settlements.settle(uow, cancellation, None, "R-1"),
    )
    for step, text in zip(steps, MONEY[lang], strict=True):
        with site.store.write(COMMAND_LINE) as uow:
            step(uow)
        page = browser.get(f"/console/orders/{order}?channel=phone")
        assert text in page.main.one("div", class_="verdict").text
        assert sum(text in one.text for one in page.main.every("div", class_="word")) >= 1


def test_who_revoked_an_earlier_cancellation_stands_under_the_heading(site):
    agent, order = site.browser(Role.AGENT), site.register()
    cancellation = site.cancel(order).cancellation_id
    with site.store.write(site.principal(Role.AGENT)) as uow:
        settlements.revoke(uow, cancellation, RevocationReason.ENTERED_IN_ERROR, None)
    verdict = agent.get(f"/console/orders/{order}?channel=phone").main.one("div", class_="verdict").text
    assert "An earlier cancellation was revoked on 8 Apr 2026, 10:20: Entered in error (you)" in verdict


def test_a_line_says_who_the_customer_is(site):
    customer = f"K-{site.register()}"
    order = site.register(customer_ref=customer, ordered_at="2026-04-01T10:00:00Z")
    agent = site.browser(Role.AGENT)
    path = f"/console/orders/{order}?channel=phone"
    assert f"Customer {customer} · ordered 1 Apr 2026, 12:00 · provided 2 Apr 2026, 16:20" in agent.get(path).text
    assert "other order" not in agent.get(path).text
    site.register(customer_ref=customer)
    site.record(order, intent=Intent.QUESTION)
    page = agent.get(path)
    assert "1 other order · last contact 8 Apr 2026, 10:20: Question" in page.text
    assert "Orders of the customer" in agent.follow(page, "1 other order").text


def test_the_last_contact_is_the_last_that_the_customer_made_whenever_it_was_entered(site, agent):
    """An e-mail of yesterday is often entered after the call of today; a mistaken entry is no contact."""
    order = site.register()
    site.record(order, intent=Intent.QUESTION, received_at=NOW - timedelta(hours=1))
    site.record(order, intent=Intent.QUESTION, channel=Channel.EMAIL, received_at=NOW - timedelta(hours=15))
    assert "last contact 8 Apr 2026, 09:20: Question" in answer(agent, order).text
    wrong = site.record(order, intent=Intent.QUESTION)
    site.record(order, intent=Intent.QUESTION, received_at=NOW - timedelta(hours=30), supersedes=wrong)
    assert "last contact 8 Apr 2026, 09:20: Question" in answer(agent, order).text


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_request_in_time_by_a_channel_that_is_not_accepted_is_not_called_late(site, language):
    order = site.register()
    site.record(order, channel=Channel.WEB)
    text = answer(site.browser(Role.AGENT, language), order, "?channel=web").text
    assert {"en": "A request is still open that was refused:", "de": "Eine abgelehnte Anfrage ist noch offen:"}[
        language
    ] in text
    assert {"en": "too late", "de": "verspätete"}[language] not in text
    assert {"en": "say whether there is another way", "de": "Ob es einen anderen Weg gibt"}[language] in text


def test_an_overdue_refund_is_not_said_to_be_due_by_a_day_that_is_over(site, now):
    order = site.register()
    site.cancel(order)
    now.move_to(datetime(2026, 4, 22, 21, 59, tzinfo=UTC))
    assert "It is due by Wednesday, 22 April 2026." in answer(site.browser(Role.AGENT), order).text
    now.shift(timedelta(minutes=1))
    assert "It was due by Wednesday, 22 April 2026 and is overdue." in answer(site.browser(Role.AGENT), order).text

"""Cancelled orders: what is read aloud and printed, who can revoke a cancellation, and until when."""

from datetime import timedelta

import pytest

from refunds.domain.permissions import Role
from refunds.domain.references import REFERENCE
from refunds.service import settlements
from tests.console.conftest import opened


def test_the_confirmation_is_in_the_chosen_language_and_the_console_stays_in_the_agents(site, agent):
    done = site.cancel(site.register())
    page = agent.get(f"/console/cancellations/{done.cancellation_id}")
    german, english = (agent.follow(page, f"Confirmation in {lang}") for lang in ("German", "English"))
    assert (german.lang, english.lang) == ("de", "en")
    assert REFERENCE.spoken(done.reference) in german.text
    assert REFERENCE.spoken(done.reference) in english.text
    agent.follow(page, "Confirmation in German")
    assert agent.get("/console/").lang == "en"


def done(site, role=Role.AGENT, **facts):
    """A cancellation that a user of this role has issued."""
    return site.cancel(site.register(**facts), role)


def path_of(one):
    """The path of a cancellation's page."""
    return f"/console/cancellations/{one.cancellation_id}"


def test_the_page_shows_the_reference_and_what_happens_next(site, agent):
    one = done(site)
    page = agent.get(path_of(one))
    (reference,) = page.main.every("p", class_="big")
    assert reference.text == REFERENCE.spoken(one.reference)
    assert "Billing has been told, and deals with the refund." in page.text
    assert "you can revoke it below until 8 Apr 2026, 10:35." in page.text
    words = {each["lang"]: each.text for each in page.main.every("section", class_="words")}
    assert all(REFERENCE.spoken(one.reference) in text for text in words.values())
    assert not any(f"{sign}" in page.text for sign in ("€", "EUR"))


def test_after_the_refund_the_page_says_that_it_was_made(site, agent):
    one = done(site)
    with site.store.write(site.principal(Role.BILLING)) as uow:
        settlements.settle(uow, one.cancellation_id, None, "R-1")
    page = agent.get(path_of(one))
    assert "The refund was made on Wednesday, 8 April 2026." in page.text
    assert "deals with the refund. There is nothing more" not in page.text


def test_an_agent_can_revoke_their_own_cancellation_for_15_minutes(site, agent, now):
    one = done(site)
    page = agent.get(path_of(one))
    now.shift(timedelta(minutes=15))
    page = agent.press(page, "Revoke", reason_code="entered_in_error", reason="Another was meant.")
    assert page.h1 == "The cancellation was revoked"
    assert page.facts["Revoked"].endswith("you: Entered in error, Another was meant.")
    assert site.active(one.order_id) is None
    assert site.contact(one.order_id).is_open, "the request is open again"
    assert agent.is_open(one.order_id)


def test_after_15_minutes_an_agent_can_no_longer_revoke_it(site, agent, now):
    one = done(site)
    form = agent.get(path_of(one)).form("Revoke")
    now.shift(timedelta(minutes=15, seconds=1))
    before = site.position
    page = agent.submit(form, reason_code="entered_in_error")
    assert (page.status, page.h1) == (403, "This is not for you to do")
    assert site.position == before
    page = agent.get(path_of(one))
    assert "Revoke" not in [button for each in page.forms for button in each.buttons]
    assert "a supervisor can revoke it until billing begins to refund it" in page.text


@pytest.mark.parametrize("after", [timedelta(minutes=1), timedelta(days=30)])
def test_a_supervisor_can_revoke_any_cancellation_until_it_is_refunded(site, now, after):
    first, second = done(site), done(site)
    now.shift(after)
    supervisor = site.browser(Role.SUPERVISOR)
    page = supervisor.press(supervisor.get(path_of(first)), "Revoke", reason_code="customer_kept_order")
    assert page.h1 == "The cancellation was revoked"
    assert not site.contact(first.order_id).is_open, "the customer no longer wants it"
    form = supervisor.get(path_of(second)).form("Revoke")
    with site.store.write(site.principal(Role.BILLING)) as uow:
        settlements.settle(uow, second.cancellation_id, None, "R-1")
    page = supervisor.submit(form, reason_code="customer_kept_order")
    assert (page.status, page.h1) == (409, "The order is cancelled")
    assert "billing has begun to refund it" in page.main.one("div", role="alert").text
    page = supervisor.get(path_of(second))
    assert (page.facts["State"], "Revoke" in page.source) == ("refunded", False)


def test_an_agent_cannot_revoke_a_cancellation_of_another_user(site, agent):
    one = done(site, Role.SUPERVISOR)
    assert "Revoke" not in agent.get(path_of(one)).source
    token = agent.get("/console/").form("Check").fields["csrf_token"]
    before = site.position
    page = agent.post(path_of(one), {"csrf_token": token, "reason_code": "entered_in_error"})
    assert (page.status, site.position) == (403, before)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({}, {"reason_code": "Fill this in."}),
        ({"reason_code": "mood"}, {"reason_code": "Choose one of the reasons."}),
        ({"reason_code": "entered_in_error", "reason": "x" * 501}, {"reason": "Write the reason in at most 500"}),
        ({"reason": "Another was meant."}, {"reason_code": "Fill this in."}),
    ],
)
def test_a_revocation_needs_a_reason_and_keeps_what_was_typed(site, agent, typed, expected):
    one = done(site)
    form, before = agent.get(path_of(one)).form("Revoke"), site.position
    page = agent.post(path_of(one), form.fields | typed)
    assert (page.status, site.position) == (422, before)
    ((field, message),) = expected.items()
    assert page.errors.keys() == {field}
    assert page.errors[field].startswith(message)
    kept = page.form("Revoke").fields
    assert kept["reason"] == typed.get("reason", "")
    assert kept.get("reason_code") == (typed.get("reason_code") if field != "reason_code" else None)


def test_recent_lists_ones_own_cancellations_newest_first_with_the_time_left_to_revoke(site, now):
    site = opened()
    orders = []
    for _ in range(3):
        orders.append(done(site).order_id)
        now.shift(timedelta(minutes=6))
    done(site, Role.SUPERVISOR)
    agent = site.browser(Role.AGENT)
    rows = [
        [cell.text for cell in row.every("th", "td")]
        for row in agent.get("/console/recent").root.one("tbody").every("tr")
    ]
    assert [row[1] for row in rows] == orders[::-1]
    assert [row[4].partition(" ")[2].partition(" ")[2] for row in rows] == ["9 minutes left", "3 minutes left", ""]
    assert [row[2] for row in rows] == [f"8 Apr 2026, 10:{minute}" for minute in (32, 26, 20)]
    assert site.browser(Role.ADMIN).get("/console/recent").text.count("You have not") == 2
    assert (
        "by you for 15 minutes, and by a supervisor until billing begins to refund it"
        in agent.get("/console/recent").text
    )
    supervisors = site.browser(Role.SUPERVISOR).get("/console/recent").text
    assert "Each can be revoked until billing begins to refund it." in supervisors
    site.store.close()


def test_a_revoked_cancellation_has_no_text_for_the_customer_and_no_confirmation(site, agent):
    one = done(site)
    page = agent.press(agent.get(path_of(one)), "Revoke", reason_code="entered_in_error")
    assert not list(page.main.every("section", class_="words"))
    assert not [link for link in page.links if link.startswith("Confirmation")]
    page = agent.get(f"{path_of(one)}/confirmation")
    assert (page.status, page.h1) == (409, "The cancellation is no longer what you saw")


@pytest.mark.parametrize("language", ["fr", "DE", "x" * 50])
def test_a_confirmation_in_an_unknown_language_is_refused(site, agent, language):
    assert agent.get(f"{path_of(done(site))}/confirmation?language={language}").status == 422


def test_the_history_of_an_order_lists_every_event_in_order(site, agent, supervisor, now):
    order = site.register()
    now.shift(60)
    agent.press(agent.get(f"/console/orders/{order}"), "Only a question")
    now.shift(60)
    site.record(order, note="Wants it cancelled.")
    now.shift(60)
    page = supervisor.get(f"/console/orders/{order}/cancel?channel=phone")
    supervisor.press(page, "Cancel the order now", note="Called again.")
    reference = REFERENCE.spoken(site.active(order).reference)
    now.shift(60)
    page = supervisor.get(path_of(site.active(order)))
    supervisor.press(page, "Revoke", reason_code="customer_kept_order", reason="Thought better of it.")
    page = agent.get(f"/console/orders/{order}/history")
    items = list(page.root.one("ol", class_="timeline").every("li"))
    assert [item.one("h3").text for item in items] == [
        "order registered", "window promised", "contact recorded", "contact recorded", "contact recorded",
        "cancellation issued", "cancellation revoked", "contact resolved", "contact resolved",
    ]  # fmt: skip
    texts = [item.text for item in items]
    assert "Until the end of Wednesday, 8 April 2026" in texts[1]
    assert "Question" in texts[2]
    assert "you" in texts[2]
    assert "Wants it cancelled." in texts[3]
    assert "supervisor-1" in texts[4]
    assert reference in texts[5]
    assert "Thought better of it." in texts[6]
    assert page.facts["Customer"] == "K-20391"
    assert page.facts["Service provided"] == "Thursday, 2 April 2026, 16:20"


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_evidence_is_a_separate_page_in_the_readers_language(site, language):
    one = done(site)
    browser = site.browser(Role.SUPERVISOR, language)
    page = browser.get(f"/console/orders/{one.order_id}/evidence")
    assert (page.status, page.lang) == (200, language)
    assert one.order_id in page.text
    assert REFERENCE.spoken(one.reference) in page.text
    other = {"en": "de", "de": "en"}[language]
    assert browser.get(f"/console/orders/{one.order_id}/evidence?language={other}").lang == other
    assert browser.get("/console/").lang == language

"""Two people at one contact: who comes second keeps what they typed, and is told what happened and what to do."""

import pytest

from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind

KEPT = {"doing": "resolve", "reason_code": "customer_kept_order"}


def contact(site):
    return f"/console/contacts/{site.record(site.register())}"


def unmatched(site):
    return f"/console/unmatched/{site.keep('A-?')}"


def sent(browser, path, form):
    """The page after a form, of which a page of this session was shown before, is sent to the path."""
    return browser.post(path, {"csrf_token": browser.token} | form)


ADDED = {"note": "Short.", "ticket_ref": "T-1"}
SPAM = {"doing": "resolve", "reason": "Spam."}
CASES = {
    "a note": (contact, "", ADDED | {"doing": "complete"}, "", {"doing": "complete", "note": "A longer\none."}),
    "a ticket": (contact, "", ADDED | {"doing": "complete"}, "", {"doing": "complete", "ticket_ref": "T-2"}),
    "an answer": (
        contact,
        *("", {"doing": "acknowledge", "channel": "phone"}),
        *("", {"doing": "acknowledge", "channel": "email", "to": "kim@example.org", "given_at": "yesterday 17:40"}),
    ),
    "a resolution": (contact, "", KEPT, "", {"doing": "resolve", "reason_code": "entered_in_error", "reason": "Two."}),
    "a note of an unmatched contact": (
        unmatched,
        *("", ADDED | {"doing": "complete"}, "", {"doing": "complete", "note": "Longer."}),
    ),
    "an answer of an unmatched contact": (
        unmatched,
        *("", {"doing": "acknowledge", "channel": "phone"}),
        *("", {"doing": "acknowledge", "channel": "email", "to": "kim@example.org"}),
    ),
    "another reason": (unmatched, "", SPAM, "", SPAM | {"reason": "They called again."}),
    "a match after the end": (unmatched, "", SPAM, "/order", {"order_id": None, "ticket_ref": "T-9"}),
}
HAPPENED = {
    "a note": ("Somebody else has added a ticket or a note", "Jemand anders hat ein Ticket oder eine Notiz"),
    "an answer": ("has been recorded already that the customer was answered", "ist schon eingetragen, dass der Kunde"),
    "a resolution": ("has been resolved meanwhile", "ist inzwischen erledigt"),
    "another reason": ("has been closed meanwhile", "wurde inzwischen geschlossen"),
}
HAPPENED |= {"a ticket": HAPPENED["a note"], "a note of an unmatched contact": HAPPENED["a note"]}
HAPPENED |= {"an answer of an unmatched contact": HAPPENED["an answer"]}
HAPPENED |= {"a match after the end": HAPPENED["another reason"]}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("case", CASES)
def test_who_comes_second_keeps_what_they_typed(site, case, language):
    made, to_first, first, to_second, second = CASES[case]
    path, agent, other = made(site), site.browser(Role.AGENT), site.browser(Role.SUPERVISOR, language)
    second = {name: value or site.register() for name, value in second.items()}
    heading = [browser.get(path) for browser in (agent, other)]
    assert sent(agent, path + to_first, first).status == 200
    before = site.position
    page = sent(other, path + to_second, second)
    assert (page.status, site.position) == (409, before)
    assert page.main.one("div", role="alert").text.count(HAPPENED[case][language == "de"]) == 1
    assert page.lang == language
    typed = page.main.one("dl", id="typed")
    assert [one.raw for one in typed.every("dd")] == [
        second[name] for name in ("order_id", "ticket_ref", "note", "reason", "to", "given_at") if name in second
    ]
    assert page.h1 == other.get(path).h1, heading


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_request_whose_order_is_cancelled_meanwhile_is_not_reopened(site, language):
    order = site.register()
    path, other = f"/console/contacts/{site.record(order)}", site.browser(Role.SUPERVISOR, language)
    other.get(path)
    sent(other, path, KEPT)
    site.cancel(order)
    page = sent(other, path, {"doing": "reopen", "reason_code": "customer_asked_again"})
    assert page.status == 409
    said = ("revoke that cancellation first", "nehmen Sie zuerst diese Stornierung zurück")[language == "de"]
    assert said in page.main.one("div", role="alert").text
    assert not list(page.main.every("dl", id="typed"))
    assert site.active(order)


def test_a_match_to_another_order_leads_to_what_it_became(site, agent, supervisor):
    path, orders = unmatched(site), [site.register(), site.register()]
    supervisor.get(path)
    agent.get(path)
    sent(agent, f"{path}/order", {"order_id": orders[0]})
    page = sent(supervisor, f"{path}/order", {"order_id": orders[1]})
    assert (page.status, page.h1) == (409, "Matched to its order")
    assert "matched to its order meanwhile" in page.main.one("div", role="alert").text


def test_what_was_typed_stays_if_its_form_cannot_be_shown_any_more(site, agent, supervisor):
    order = site.register()
    contact_id = site.record(order)
    path = f"/console/orders/{order}/cancel"
    supervisor.get(f"/console/contacts/{contact_id}")
    agent.get(f"/console/contacts/{contact_id}")
    sent(agent, f"/console/contacts/{contact_id}", KEPT)
    form = {"contact_id": contact_id, "note": "Twice.", "idempotency_key": "k" * 22}
    page = sent(supervisor, path, form)
    assert (page.status, page.h1) == (409, "The request is no longer what you saw")
    assert "has been resolved meanwhile" in page.text
    assert page.main.one("dl", id="typed").one("dd").text == "Twice."


def test_who_revokes_second_keeps_what_they_typed(site):
    done = site.cancel(site.register())
    path = f"/console/cancellations/{done.cancellation_id}"
    agent, other = site.browser(Role.AGENT), site.browser(Role.SUPERVISOR, "de")
    for browser in (agent, other):
        browser.get(path)
    assert sent(agent, path, {"reason_code": "entered_in_error"}).status == 200
    page = sent(other, path, {"reason_code": "customer_kept_order", "reason": "Bleibt doch."})
    assert (page.status, page.h1) == (409, "Die Stornierung wurde zurückgenommen")
    assert page.main.one("dl", id="typed").one("dd").text == "Bleibt doch."
    assert "zurückgenommen" in page.main.one("div", role="alert").text


@pytest.mark.parametrize(
    ("second", "typed"),
    [
        ({"doing": "refuse", "refusal_reason": "Somebody else asked."}, ["Somebody else asked."]),
        ({"doing": "extend", "extension_reason": "Many orders."}, ["Many orders."]),
        ({"doing": "identity", "identity_check": "A passport."}, ["A passport."]),
    ],
)
def test_who_answers_a_data_request_second_keeps_what_they_typed(site, second, typed):
    ref = f"K-{site.register()}"
    site.register(customer_ref=ref)
    path = f"/console/data-requests/{site.asks(DataRequestKind.ACCESS, ref).request_id}"
    one, other = (site.browser(Role.PRIVACY) for _ in range(2))
    for browser in (one, other):
        browser.get(path)
    assert sent(one, path, {"doing": "fulfil"}).status == 200
    page = sent(other, path, second)
    assert (page.status, page.h1) == (409, "Access: Fulfilled")
    assert [each.text for each in page.main.one("dl", id="typed").every("dd")] == typed
    assert "Somebody has dealt with it meanwhile" in page.main.one("div", role="alert").text


def test_an_erasure_that_has_to_wait_keeps_why_it_should_not(site):
    ref = f"K-{site.register()}"
    site.record(site.register(customer_ref=ref))
    path = f"/console/data-requests/{site.asks(DataRequestKind.ERASURE, ref).request_id}"
    privacy = site.browser(Role.PRIVACY)
    privacy.get(path)
    page = sent(privacy, path, {"doing": "fulfil", "erasure_reason": "request"})
    assert page.status == 409
    assert "A request of theirs waits for an answer" in page.main.one("div", role="alert").text
    assert page.form("Erase for good").fields["erasure_reason"] == "request"

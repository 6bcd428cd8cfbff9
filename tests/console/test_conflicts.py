"""Two people at one contact: who comes second keeps what they typed, and is told what happened and what to do."""

import re

import pytest

from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestConflict, DataRequestKind
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import CancellationStateConflict, ContactStateConflict, FieldError, Message
from refunds.service import cancellations, resolutions
from refunds.service import unmatched as matching
from refunds.service.resolutions import Resolution
from refunds.web.console.messages import field_error_text, problem_words
from tests.unit.test_messages import calls

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
    "a note": ("Somebody else has added a ticket or a note", "Jemand anders hat inzwischen ein Ticket oder eine Notiz"),
    "an answer": ("has been recorded already that the customer was answered", "ist schon vermerkt, dass der Kunde"),
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


@pytest.mark.parametrize("language", ["en", "de"])
def test_who_checks_an_identity_second_sees_how_it_was_checked_and_keeps_what_they_typed(site, language):
    ref = f"K-{site.register()}"
    site.register(customer_ref=ref)
    asked = site.asks(DataRequestKind.ACCESS, ref, identity_check=None).request_id
    path, before = f"/console/data-requests/{asked}", "A letter."
    one, other = (site.browser(Role.PRIVACY, language) for _ in range(2))
    for browser in (one, other):
        browser.get(path)
    assert sent(one, path, {"doing": "identity", "identity_check": before}).status == 200
    page = sent(other, path, {"doing": "identity", "identity_check": "A passport."})
    assert (page.status, site.data_request(asked).identity_check) == (409, before)
    said = ("how it was made sure who asks, and that stands", "wie die Identität geprüft wurde; Sie sehen es unten")
    assert said[language == "de"] in page.main.one("div", role="alert").text
    assert page.main.one("dl", id="typed").one("dd").text == "A passport."
    assert before in page.facts.values()


def test_an_erasure_that_has_to_wait_keeps_why_it_should_not(site):
    ref = f"K-{site.register()}"
    site.record(site.register(customer_ref=ref))
    path = f"/console/data-requests/{site.asks(DataRequestKind.ERASURE, ref).request_id}"
    privacy = site.browser(Role.PRIVACY)
    privacy.get(path)
    page = sent(privacy, path, {"doing": "fulfil", "erasure_reason": "request"})
    assert page.status == 409
    said = page.main.one("div", role="alert").text
    assert "A request of theirs waits for an answer" in said
    assert "say below why it does not wait" in said
    assert page.form("Erase for good").fields["erasure_reason"] == "request"


def leads_to(page):
    """The label and the path of the link in the box that says what has happened."""
    (link,) = page.main.one("div", role="alert").every("a")
    return link.text, link["href"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_correction_of_what_somebody_else_has_replaced_leads_to_the_new_entry(site, language):
    order = site.register()
    first, other = site.record(order), site.browser(Role.AGENT, language)
    form = other.get(f"/console/orders/{order}/record?supersedes={first}").forms[0]
    second = site.record(order, channel="email", supersedes=first)
    page = other.submit(form, channel="post", note="Typed.")
    assert page.status == 409
    label = ("To the entry that replaces it", "Zum Eintrag, der diesen ersetzt")[language == "de"]
    assert leads_to(page) == (label, f"/console/contacts/{second}")
    assert "Typed." in page.text


def test_a_correction_of_what_was_cancelled_meanwhile_leads_to_the_cancellation(site, agent):
    order = site.register()
    first = site.record(order)
    form = agent.get(f"/console/orders/{order}/record?supersedes={first}").forms[0]
    with site.store.write(site.principal(Role.AGENT)) as uow:
        done = cancellations.issue(uow, order=order, contact=first)
    page = agent.submit(form, channel="email")
    assert (page.status, leads_to(page)) == (
        409,
        ("To the cancellation", f"/console/cancellations/{done.cancellation_id}"),
    )


def test_what_lacks_its_order_leads_to_what_replaced_it(site, agent):
    first = site.keep("A-?")
    form = agent.get(f"/console/unmatched/new?supersedes={first}").forms[0]
    second = site.keep("A-!", supersedes=first)
    page = agent.submit(form, order_hint="A-0")
    assert (page.status, leads_to(page)[1]) == (409, f"/console/unmatched/{second}")


def test_what_was_resolved_or_revoked_meanwhile_is_a_click_away_from_its_problem(site, agent):
    order = site.register()
    contact_id = site.record(order)
    with site.store.write(site.principal(Role.AGENT)) as uow:
        resolutions.resolve(uow, contact_id, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER))
    page = agent.post(
        f"/console/orders/{order}/cancel",
        {"csrf_token": agent.token, "contact_id": contact_id, "idempotency_key": "r" * 22},
    )
    assert (page.status, page.links["To the request"]) == (409, f"/console/contacts/{contact_id}")
    done = site.cancel(site.register())
    path = f"/console/cancellations/{done.cancellation_id}"
    agent.press(agent.get(path), "Revoke", reason_code="entered_in_error")
    page = agent.get(f"{path}/confirmation")
    assert (page.status, page.links["To the cancellation"]) == (409, path)


def test_a_form_that_was_sent_before_with_other_entries_leads_to_the_history(site, agent):
    order = site.register()
    form = agent.get(f"/console/orders/{order}/record?intent=question").forms[0]
    agent.submit(form)
    page = agent.submit(form, note="Other.")
    assert (page.status, page.links["History"]) == (422, f"/console/orders/{order}/history")
    assert "Other." in page.text


@pytest.mark.parametrize("language", ["en", "de"])
def test_who_takes_what_was_dealt_with_meanwhile_is_told_so_without_an_id(site, language):
    name, agent = site.record(site.register()), site.browser(Role.AGENT, language)
    form = agent.get(f"/console/contacts/{name}").form(("Take it", "Übernehmen")[language == "de"])
    with site.store.write(site.principal(Role.AGENT)) as uow:
        resolutions.resolve(uow, name, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER))
    page = agent.submit(form, ("Take it", "Übernehmen")[language == "de"])
    assert page.status == 409
    assert ("dealt with meanwhile", "inzwischen erledigt")[language == "de"] in page.main.one("div", role="alert").text
    assert name not in page.text


def test_who_takes_what_was_replaced_meanwhile_is_led_to_what_replaced_it(site, agent):
    """That is open, and waits."""
    order = site.register()
    first, kept = site.record(order), site.keep("A-?")
    contact_form = agent.get(f"/console/contacts/{first}").form("Take it")
    kept_form = agent.get(f"/console/unmatched/{kept}").form("Take it")
    second = site.record(order, supersedes=first)
    with site.store.write(site.principal(Role.AGENT)) as uow:
        matched, _ = matching.match(uow, kept, order)
    for form, leads in ((contact_form, second), (kept_form, matched.contact_id)):
        page = agent.submit(form, "Take it")
        assert (page.status, leads_to(page)[1]) == (409, f"/console/contacts/{leads}")
        assert "nobody has to take it" not in page.text


ID = "con_01KN6ME7W0APCMK6YXAFPZ3BYV"
CODES = {error.code: error for error in (ContactStateConflict, CancellationStateConflict, DataRequestConflict)}


@pytest.mark.parametrize("code", CODES)
def test_no_detail_of_a_conflict_shows_a_user_an_id(site, code):
    named = {one.args[0].value for _, one in calls("Message", "service", "storage", "domain") if one.keywords}
    assert len(named) > 50
    for template in named:
        detail = Message(template, **dict.fromkeys(re.findall(r"%\((\w+)\)s", template), ID))
        with site.app.test_request_context():
            shown = (
                field_error_text(FieldError("/conflict", detail, code)),
                *problem_words(code, CODES[code](detail, "open")),
            )
        assert ID not in " ".join(shown), template

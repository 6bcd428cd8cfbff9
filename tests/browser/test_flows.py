"""What agents and supervisors do, in a real browser with the real server."""

import re

import pytest
from playwright.sync_api import expect

REFERENCE = re.compile(r"^\d{3}-\d{3}-\d{4}$")
DONE = "The order is cancelled"

WORDS = {
    "en-GB": {
        "name": "User name",
        "password": "Password",
        "number": "Order number or reference",
        "answer": re.compile(r"^Can be cancelled until the end of \w+day, "),
        "counted": "How the days were counted",
        "cancel": "Cancel this order",
        "sure": "Cancel {}?",
        "note": "Note",
        "now": "Cancel the order now",
        "done": DONE,
        "copy": "Copy the reference",
        "confirmation": "Confirmation in German",
    },
    "de-DE": {
        "name": "Benutzername",
        "password": "Passwort",
        "number": "Bestellnummer oder Stornonummer",
        "answer": re.compile(r"^Stornierbar bis \w+, .* 24\sUhr \(Ortszeit\sBerlin\)$"),
        "counted": "So wurden die Tage gezählt",
        "cancel": "Bestellung stornieren",
        "sure": "{} stornieren?",
        "note": "Notiz",
        "now": "Bestellung jetzt stornieren",
        "done": "Die Bestellung ist storniert",
        "copy": "Stornonummer kopieren",
        "confirmation": "Bestätigung auf Deutsch",
    },
}


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("locale", WORDS)
def test_a_call_is_handled_with_the_keyboard_only(visit, service, order, locale, scripts):
    words, number = WORDS[locale], order()
    agent = visit(locale=locale, java_script_enabled=scripts)

    agent.is_at(agent.field(words["name"]))
    agent.types("agent")
    agent.presses("Tab")
    agent.is_at(agent.field(words["password"]))
    agent.types(service.passwords["agent"])
    agent.presses("Enter")

    agent.is_at(agent.field(words["number"]))
    agent.types(number)
    agent.presses("Enter")

    agent.reads(words["answer"])
    agent.presses("Tab")
    agent.is_at(agent.page.get_by_role("region", name=words["counted"]))
    agent.presses("Tab")
    agent.is_at(agent.button(words["cancel"]))
    agent.presses("Enter")

    agent.reads(words["sure"].format(number))
    agent.presses("Tab", "Tab")
    agent.is_at(agent.field(words["note"]))
    agent.types("Moves house")
    agent.presses("Tab", "Tab")
    agent.is_at(agent.button(words["now"]))
    agent.presses("Enter")

    agent.reads(words["done"])
    expect(agent.page.locator(".reference.big")).to_have_text(REFERENCE)
    agent.presses("Tab")
    agent.is_at(agent.button(words["copy"]) if scripts else agent.link(words["confirmation"]))
    assert len(service.cancellations(number)) == 1


def test_the_focus_is_visible_wherever_tab_leads(visit, order):
    agent = visit("agent")
    for path in ("/console/", f"/console/orders/{order()}"):
        agent.page.goto(path)
        agent.link("To the content").focus()
        places = list(agent.tabs_through())
        assert len(places) > 12
        assert [place for place in places if not place["seen"]] == []


def test_a_question_is_recorded_as_a_question(visit, service, order):
    agent, number = visit("agent"), order()
    agent.looks_up(number)
    agent.button("Only a question").click()
    agent.reads("A question, on record")
    assert service.cancellations(number) == []


def test_a_request_stays_on_the_open_list_until_its_order_is_cancelled(visit, order):
    agent, number = visit("agent"), order()
    agent.looks_up(number)
    agent.button("Record, cancel later").click()
    agent.reads("An open request")
    agent.link("Open").click()
    agent.page.get_by_role("row").get_by_role("link", name=number).click()
    agent.reads("An open request")
    agent.button("Cancel this order").click()
    agent.button("Cancel the order now").click()
    agent.reads(DONE)
    agent.link("Open").click()
    expect(agent.page.get_by_role("heading", level=1)).to_have_text("Open requests")
    expect(agent.link(number)).to_have_count(0)


def test_a_cancellation_entered_in_error_is_revoked(visit, service, order):
    agent, number = visit("agent"), order()
    cancel(agent, number)
    agent.link("Recent").click()
    agent.page.get_by_role("row", name=number).get_by_role("link", name="Revoke").click()
    agent.page.get_by_role("radio", name="Entered in error").check()
    agent.button("Revoke").click()
    agent.reads("The cancellation was revoked")
    assert [one["state"] for one in service.cancellations(number)] == ["revoked"]


def test_only_a_supervisor_cancels_as_goodwill_and_needs_a_reason(visit, service, order):
    agent, number = visit("agent"), order(days_ago=40)
    agent.looks_up(number)
    expect(agent.page.get_by_role("heading", level=1)).to_have_text(re.compile("^The contractual window ended"))
    expect(agent.button("Cancel as goodwill")).to_have_count(0)
    agent.button("Record the request").click()
    agent.reads("An open request")

    supervisor = visit("supervisor")
    supervisor.page.goto(agent.page.url)
    supervisor.button("Cancel as goodwill").click()
    supervisor.reads(f"Cancel {number} as goodwill?")
    supervisor.button("Cancel as goodwill").click()
    supervisor.is_at(supervisor.page.get_by_role("alert"))
    supervisor.link("Reason: Fill this in.").click()
    supervisor.is_at(supervisor.field("Reason"))
    supervisor.types("Our line was down.")
    supervisor.button("Cancel as goodwill").click()
    supervisor.reads(DONE)
    assert [one["basis"] for one in service.cancellations(number)] == ["goodwill"]


def test_signing_out_in_one_browser_ends_the_session_in_every_other(visit):
    here, there = visit("agent"), visit("agent")
    there.button("Sign out").click()
    expect(there.button("Sign in")).to_be_visible()
    here.link("Open").click()
    expect(here.button("Sign in")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_form_is_not_lost_when_the_session_ends(visit, service, order, scripts):
    agent, number = visit("agent", java_script_enabled=scripts), order()
    agent.page.goto(f"/console/orders/{number}/cancel?channel=email")
    agent.page.get_by_text("Numbers and addresses").click()
    typed = {
        "Ticket": "T-4711",
        "Note": "Moves house,\nand is sorry",
        "The customer's number or address": "a@example.org",
    }
    for label, text in typed.items():
        agent.field(label).fill(text)
    visit("agent").button("Sign out").click()
    agent.button("Cancel the order now").click()

    expect(agent.page.get_by_role("status")).to_contain_text("Your session has ended.")
    agent.is_at(agent.field("User name"))
    agent.signs_in("agent", service.passwords["agent"])

    expect(agent.page.get_by_role("status")).to_contain_text("nothing was sent meanwhile")
    for label, text in typed.items():
        expect(agent.field(label)).to_have_value(text)
    assert service.cancellations(number) == []
    agent.button("Cancel the order now").click()
    agent.reads(DONE)
    assert len(service.cancellations(number)) == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_unknown_number_leads_to_the_check_by_date(visit, scripts):
    agent = visit("agent", java_script_enabled=scripts)
    agent.field("Order number or reference").fill("A-0000")
    agent.presses("Enter")
    expect(agent.page.get_by_role("alert")).to_contain_text("Nothing has this number.")
    agent.is_at(agent.field("Order number or reference"))
    expect(agent.field("Order number or reference")).to_have_value("A-0000")

    agent.field("Order number or reference").fill("")
    agent.field("Service provided on").fill("yesterday or so")
    agent.presses("Enter")
    agent.is_at(agent.page.get_by_role("alert"))
    agent.presses("Tab", "Enter")
    agent.is_at(agent.field("Service provided on"))
    agent.field("Service provided on").fill("yesterday")
    agent.presses("Enter")
    agent.reads(re.compile("^Can be cancelled until"))


def test_the_text_to_be_said_can_be_copied(visit, order):
    agent = visit("agent", permissions=["clipboard-read", "clipboard-write"])
    agent.looks_up(order())
    english = agent.page.get_by_role("region", name="English")
    copy, original = english.locator("[data-copy]").last, english.locator("[data-copied]").last
    copy.click()
    expect(copy).to_contain_text("Copied")
    expect(agent.page.locator("#said-aloud")).to_have_text("Copied")
    assert agent.page.evaluate("navigator.clipboard.readText()") == original.inner_text()


def test_the_text_is_selected_if_copying_is_denied(visit, order):
    agent = visit("agent", permissions=["notifications"])  # and no others
    agent.looks_up(order())
    german = agent.page.get_by_role("region", name="Deutsch")
    original = german.locator("[data-copied]").first
    text = original.inner_text()
    german.get_by_role("button", name="Copy").first.press("Enter")
    agent.is_at(original.locator("textarea"))
    assert agent.page.evaluate("getSelection().toString()") == text


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_going_back_after_a_cancellation_shows_that_it_is_done(visit, service, order, scripts):
    agent, number = visit("agent", java_script_enabled=scripts), order()
    cancel(agent, number)
    agent.page.go_back()
    expect(agent.page.locator(".notice")).to_contain_text("already been cancelled")
    agent.button("Cancel the order now").click()
    agent.reads(DONE)
    agent.page.go_back()
    expect(agent.page.locator(".notice")).to_contain_text("already been cancelled")
    agent.page.go_back()
    agent.reads(re.compile("^Cancelled on "))
    assert len(service.cancellations(number)) == 1


def test_going_back_again_before_the_page_is_complete_shows_the_page_of_the_address(visit, order):
    agent, number = visit("agent"), order()
    cancel(agent, number)
    agent.page.route(
        "**/htmx.min.js", lambda script: (agent.page.go_back(wait_until="commit"), script.continue_()), times=1
    )
    agent.page.go_back()
    expect(agent.page).to_have_url(re.compile(rf"/orders/{number}(\?|$)"))
    agent.reads(re.compile("^Cancelled on "))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_form_that_is_sent_twice_cancels_once(visit, service, order, scripts):
    agent, number = visit("agent", java_script_enabled=scripts), order()
    agent.page.goto(f"/console/orders/{number}/cancel")
    form = agent.page.locator("main form").evaluate("form => Object.fromEntries(new FormData(form))")
    agent.button("Cancel the order now").dblclick()
    agent.reads(DONE)
    again = agent.page.request.post(f"/console/orders/{number}/cancel", form=form, headers={"Origin": service.url})
    assert again.url == agent.page.url
    assert len(service.cancellations(number)) == 1


def cancel(agent, number):
    """Look an order up and cancel it."""
    agent.looks_up(number)
    agent.button("Cancel this order").click()
    agent.button("Cancel the order now").click()
    agent.reads(DONE)


def test_pages_about_an_order_with_the_longest_number_fit_a_narrow_screen(visit, service):
    number = "L" + "0" * 127
    facts = {"customer_ref": "K" * 200, "service_provided_at": None}
    service.answers("PUT", f"/v1/orders/{number}", facts)
    supervisor = visit("supervisor", viewport={"width": 320, "height": 700})
    supervisor.opens_at(f"orders/{number}/cancel?channel=phone")
    supervisor.clicks(supervisor.button("Cancel the order now"))
    expect(supervisor.page.get_by_role("heading", level=1)).to_have_text(DONE)
    supervisor.page.goto(supervisor.page.get_by_role("link", name="Confirmation in German").get_attribute("href"))
    paths = [f"/console/orders/{number}{screen}" for screen in ("", "/history", "/evidence")]
    for path in (supervisor.page.url, *paths):
        supervisor.page.goto(path)
        assert supervisor.page.evaluate("document.scrollingElement.scrollWidth") == 320, path

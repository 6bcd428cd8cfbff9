"""From a number, or a day and a region, to the answer: what is found, what is not, and how typing errors are reported."""

from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import pytest
import time_machine

from refunds.domain.permissions import Role
from refunds.domain.references import REFERENCE
from refunds.security.master_key import create_master_key
from refunds.service.store import Opening, Store
from tests.conftest import settings
from tests.console.conftest import PROVIDED, TOO_LONG_AGO, opened

UNTIL = "Can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time)"


def asked(browser, **typed):
    """The page that follows a check on the start page."""
    return browser.press(browser.get("/console/"), "Check", **typed)


def test_an_order_is_found_by_its_number(site, agent):
    order = site.register()
    page = asked(agent, q=f"  {order} ")
    assert (page.status, page.h1, page.path) == (200, UNTIL, f"/console/orders/{order}")
    assert "Today is the last day." in page.text


def test_a_check_on_the_start_page_needs_only_the_number(site, agent):
    """Its field has the focus, and every other field has a default."""
    form = agent.get("/console/").form("Check")
    (focused,) = (one for one in form.element.every("input") if "autofocus" in one)
    assert focused["name"] == "q"
    assert agent.submit(form, q=site.register()).h1 == UNTIL


@pytest.mark.parametrize(
    "spelling", ["{}", "{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]} {0[6]}{0[7]}{0[8]}{0[9]}", "spoken", " - {} - "]
)
def test_an_order_is_found_by_the_reference_of_its_cancellation_in_any_spelling(site, agent, spelling):
    order = site.register()
    reference = site.cancel(order).reference
    page = asked(agent, q=REFERENCE.spoken(reference) if spelling == "spoken" else spelling.format(reference))
    assert (page.h1, page.path) == ("Cancelled on Wednesday, 8 April 2026", f"/console/orders/{order}")
    assert page.links[REFERENCE.spoken(reference)].startswith("/console/cancellations/can_")


def test_a_reference_with_a_wrong_check_digit_is_reported(site, agent):
    reference = site.cancel(site.register()).reference
    wrong = reference[:-1] + str((int(reference[-1]) + 1) % 10)
    page = asked(agent, q=REFERENCE.spoken(wrong))
    assert (page.status, page.form("Check").fields["q"]) == (422, REFERENCE.spoken(wrong))
    assert page.errors["q"].endswith("its check digit does not fit.")


def test_a_customer_is_found_by_their_number_which_appears_in_no_address(site, agent):
    """The number is in no address that the browser visits on the way."""
    first, second = site.register(customer_ref="K 88 & Söhne"), site.register(customer_ref="K 88 & Söhne")
    other = site.register(customer_ref="K-99")
    page = asked(agent, q="K 88 & Söhne")
    assert (page.status, page.h1) == (200, "Orders of the customer K 88 & Söhne")
    assert {first, second} <= page.links.keys()
    assert other not in page.links
    assert agent.follow(page, first).h1 == UNTIL
    assert not any("Söhne" in unquote_plus(address) for address in agent.visited)


def test_the_number_of_a_customer_with_one_order_leads_straight_to_it(site, agent):
    order = site.register(customer_ref="K-only")
    page = agent.press(agent.get("/console/"), "Check", q="K-only")
    assert page.path == f"/console/orders/{order}"


def test_the_orders_of_a_customer_are_shown_page_by_page(site, agent):
    made = {site.register(customer_ref="K-many") for _ in range(30)}
    page, seen = asked(agent, q="K-many"), set()
    while True:
        seen |= made & page.links.keys()
        if "Next page" not in page.links:
            break
        page = agent.follow(page, "Next page")
    assert seen == made


def test_an_unknown_number_is_kept_and_a_check_by_date_is_offered(site, agent):
    page = asked(agent, q="A-nowhere", channel="email")
    assert (page.status, page.h1, page.title.split(":")[0]) == (422, "Can this order be cancelled?", "Error")
    assert page.errors == {"q": page.errors["q"]}
    assert page.errors["q"].startswith("Nothing has this number.")
    assert "search for a part of it at the top of the page" in page.errors["q"]
    form = page.form("Check")
    assert (form.fields["q"], form.fields["channel"]) == ("A-nowhere", "email")
    by_date = next(one for one in page.main.every("details") if "Check by date" in one.text)
    assert "open" in by_date


def test_an_order_without_a_number_is_checked_by_date_and_region(agent):
    page = agent.press(agent.get("/console/"), "Check by date", provided_on="2.4.2026", region="DE-BY")
    assert (page.status, page.h1, page.path) == (200, UNTIL, "/console/days")
    assert "Without an order number · Bayern" in page.text
    buttons = {button for form in page.forms for button in form.buttons}
    assert "An order can be cancelled once billing has registered it." in page.text
    assert "Record it without its order" in buttons
    assert not {"Cancel this order", "Only a question"} & buttons


@pytest.mark.parametrize(
    ("typed", "heading"),
    [
        ({"provided_on": "2026-04-02"}, UNTIL),
        ({"provided_on": "Do., 2. April 2026, 16:20 Uhr"}, UNTIL),
        ({"provided_on": "2026-04-02T23:59:00+02:00"}, UNTIL),
        ({"provided_on": "2026-04-02T22:00:00Z"}, UNTIL),  # the third, which is Good Friday
        ({"provided_on": "2 April", "region": "AT"}, "The contractual window ended at the end of Tuesday, 7 April 2026 (Berlin time)"),
        ({"provided_on": "gestern"}, "Can be cancelled until the end of Thursday, 9 April 2026 (Berlin time)"),
        ({"provided_on": "yesterday", "received_at": "today 09:00"}, "Can be cancelled until the end of Thursday, 9 April 2026 (Berlin time)"),
        ({"provided_on": "27.3.2026", "received_at": "31.3. 23:59"}, "Can be cancelled: the request was in time, before the end of Tuesday, 31 March 2026 (Berlin time)"),
        ({"provided_on": "27.3.2026", "received_at": "1.4. 0:00"}, "The contractual window ended at the end of Tuesday, 31 March 2026 (Berlin time)"),
    ],
)  # fmt: skip
def test_a_check_by_date_answers_as_for_an_order_of_that_day(agent, typed, heading):
    page = agent.press(agent.get("/console/"), "Check by date", **typed)
    assert (page.status, page.h1) == (200, heading)


def test_a_product_team_checks_by_date_alone(product):
    page = product.get("/console/")
    assert "q" not in page.form("Check").names
    assert product.press(page, "Check by date", provided_on="2.4.2026").h1 == UNTIL
    assert product.press(page, "Check").errors == {"provided_on": "Fill this in."}


def test_a_role_that_may_not_see_orders_cannot_check_by_number(site, product):
    """The page does not even reveal whether the order exists."""
    token = product.get("/console/").form("Check").fields["csrf_token"]
    found, unknown = (product.post("/console/", {"csrf_token": token, "q": q}) for q in (site.register(), "A-nowhere"))
    assert found.status == unknown.status == 422
    assert found.errors == unknown.errors == {"provided_on": "Fill this in."}


MOMENT = {
    "en": "Write a date that exists and the time, such as 8.4.2026 23:05",
    "de": "ein Datum, das es gibt, und die Uhrzeit",
}
DAY = {"en": "Write a date that exists, such as 8.4.2026, 8 April or yesterday.", "de": "ein Datum ein, das es gibt"}
REGION = {"en": "There is no such region.", "de": "Diese Region gibt es nicht."}
TIME = {"en": "Add the time, such as 8.4.2026 23:05.", "de": "Uhrzeit"}
GAP = {"en": "There was no such time on that day", "de": "Zeitumstellung"}
AMBIGUOUS = {"en": "more than one", "de": "mehr"}
CANNOT_BE = {"en": "This time cannot be", "de": "Diese Zeit kann nicht"}


@pytest.mark.parametrize("lang", ["en", "de"])
@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"provided_on": "8/4/2026"}, "provided_on", AMBIGUOUS),
        ({"provided_on": "31.2.2026"}, "provided_on", DAY),
        ({"provided_on": "32.1."}, "provided_on", DAY),
        ({"provided_on": "8 Foo 2026"}, "provided_on", DAY),
        ({"provided_on": "1.1.0001"}, "provided_on", DAY),
        ({"provided_on": "2.4.2026", "region": "Bavarya"}, "region", REGION),
        ({"provided_on": "2.4.2026", "region": "by"}, "region", AMBIGUOUS),
        ({"provided_on": "2.4.2026", "region": "D" * 41}, "region", REGION),
        ({"provided_on": "2.4.2026", "region": "DE-BY", "received_at": "25:00"}, "received_at", MOMENT),
        ({"q": "{order}", "received_at": "8.4.2026 24:01"}, "received_at", MOMENT),
        ({"q": "{order}", "received_at": "tomorrow 9:00"}, "received_at", MOMENT),
        ({"q": "{order}", "received_at": "8.4.2026"}, "received_at", TIME),
        ({"q": "{order}", "received_at": "29.3.2026 02:30"}, "received_at", GAP),
        ({"q": "{order}", "received_at": "9.4.2026 09:00"}, "received_at", CANNOT_BE),
        ({"q": "{order}", "received_at": "1.4.2020 09:00"}, "received_at", CANNOT_BE),
        ({"q": "{order}", "received_at": "31.12.9999 23:59"}, "received_at", CANNOT_BE),
        ({"q": "{order}", "sent_at": "gestern"}, "sent_at", TIME),
        ({"q": "{order}", "sent_at": "x"}, "sent_at", MOMENT),
        ({"q": "{order}", "received_at": "9:00", "sent_at": "9:01"}, "sent_at", CANNOT_BE),
    ],
)  # fmt: skip
def test_an_invalid_field_is_kept_and_explained(site, lang, typed, field, message):
    browser, order = site.browser(Role.AGENT, lang), site.register()
    typed = {name: value.format(order=order) for name, value in typed.items()}
    page = browser.submit(browser.get("/console/").forms[0], **typed)
    assert (page.status, page.lang, page.path) == (422, lang, "/console/")
    assert page.errors.keys() == {field}
    assert message[lang] in page.errors[field]
    assert page.forms[0].fields.items() >= typed.items(), "what was typed is kept"
    (marked,) = page.main.every("input", "fieldset", **{"aria-invalid": "true"})
    assert f"{field}-error" in marked["aria-describedby"].split()
    assert any("open" in one for one in page.main.every("details") if any(one.every("input", name=field)))


def test_a_year_without_known_holidays_is_reported(agent):
    page = agent.press(agent.get("/console/"), "Check by date", provided_on="8.4.1869")
    assert page.status == 422
    assert page.errors["provided_on"].startswith("The holidays of that year are not known")
    assert page.form("Check").fields["provided_on"] == "8.4.1869"


@pytest.mark.parametrize(
    ("typed", "received"),
    [
        ("yesterday 17:40", "7 Apr 2026, 17:40"),
        ("gestern 17:40", "7 Apr 2026, 17:40"),
        ("vorgestern um 8:05 Uhr", "6 Apr 2026, 08:05"),
        ("0:05", "8 Apr 2026, 00:05"),
        ("7.4. 23:05", "7 Apr 2026, 23:05"),
        ("7 April 2026, 23:05", "7 Apr 2026, 23:05"),
        ("2026-04-07T21:05:00Z", "7 Apr 2026, 23:05"),
        ("2026-04-07 23:05", "7 Apr 2026, 23:05"),
    ],
)
def test_times_are_read_and_shown_in_the_time_zone_of_the_policy(site, agent, typed, received):
    page = asked(agent, q=site.register(), received_at=typed)
    assert page.status == 200
    assert f"received {received}" in page.text
    assert page.form("Check again").fields["received_at"].replace("\u00a0", " ") == received
    assert agent.press(page, "Check again").text == page.text, "what is shown can be sent again"


@pytest.mark.parametrize(
    ("language", "before"),
    [
        ("en", "Ask whether it was before or after that: add (+02:00) for the first time"),
        ("de", "Fragen Sie nach, ob es davor oder danach war"),
    ],
)
def test_a_time_that_the_clocks_showed_twice_is_asked_back(site, now, language, before):
    now.move_to(datetime(2026, 10, 26, 8, tzinfo=UTC))
    agent, typed = site.browser(Role.AGENT, language), "25.10.2026 02:30"
    order = site.register(service_provided_at="2026-10-22T12:00:00Z")
    check, again = {"en": ("Check", "Check again"), "de": ("Prüfen", "Erneut prüfen")}[language]
    page = agent.press(agent.get("/console/"), check, q=order, received_at=typed)
    assert before in page.errors["received_at"]
    for offset, instant in (("(+02:00)", "2026-10-25T00:30:00Z"), ("(+01:00)", "2026-10-25T01:30:00Z")):
        page = agent.press(agent.get("/console/"), check, q=order, received_at=f"{typed} {offset}")
        assert page.query["received_at"] == instant
        assert offset in page.form(again).fields["received_at"]
        assert agent.press(page, again).query["received_at"] == instant


@pytest.mark.parametrize(
    ("received_at", "error"),
    [
        (
            "29.3.2026 02:30",
            "There was no such time on that day: the clocks were put forward over it. If the customer's clock ",
        ),
        ("1.1.0001 00:00", "Write a date that exists and the time, such as 8.4.2026 23:05,"),
    ],
)
def test_a_time_that_never_was_is_said_to_be_skipped_only_if_it_was(site, agent, received_at, error):
    page = asked(agent, q=site.register(), received_at=received_at)
    assert page.errors["received_at"].startswith(error)


@pytest.mark.parametrize("received_at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "31.12.9999 23:59"])
@pytest.mark.parametrize("provided_on", ["2.4.2026", "31.12.9999", "0001-01-01T00:00:00Z"])
def test_the_first_and_last_instants_cause_no_failure(agent, provided_on, received_at):
    page = agent.press(agent.get("/console/"), "Check by date", provided_on=provided_on, received_at=received_at)
    assert page.status in {200, 422}


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_answer_shows_the_days_left_at_the_time_of_the_request(site, language):
    browser, order = site.browser(Role.AGENT, language), site.register()
    then, now = (
        browser.get(f"/console/orders/{order}?received_at=2026-04-07T10:00:00Z"),
        browser.get(f"/console/orders/{order}"),
    )
    left, today = {
        "en": ("Seen from Tuesday, 7 April 2026: 1 more business day was left.", "Today is the last day."),
        "de": ("Danach blieb noch 1 Werktag.", "Heute ist der letzte Tag."),
    }[language]
    assert left in then.text
    assert today in now.text


def test_a_link_from_the_helpdesk_shows_the_answer_and_keeps_its_channel(site, agent):
    first, second = site.register(), site.register()
    assert "by e-mail" in agent.get(f"/console/orders/{first}?channel=email").text
    assert agent.get("/console/").form("Check").fields["channel"] == "email"
    assert "by e-mail" in agent.get(f"/console/orders/{second}").text
    assert "by telephone" in asked(agent, q=second, channel="phone").text
    assert agent.get("/console/").form("Check").fields["channel"] == "phone"


def test_a_link_from_the_helpdesk_survives_the_sign_in(site, stranger):
    order = site.register()
    page = stranger.get(f"/console/orders/{order}?channel=email")
    assert page.status == 401
    page = stranger.submit(page.form("Sign in"), name="agent-1", password=site.passwords[Role.AGENT])
    assert (page.h1, page.query) == (UNTIL, {"channel": "email"})


@pytest.mark.parametrize(
    "query", ["channel=fax", "received_at=soon", "channel=phone&channel=email", "what=1", "sent_at=1.1.2026"]
)
def test_an_invalid_link_shows_no_answer(site, agent, query):
    page = agent.get(f"/console/orders/{site.register()}?{query}")
    assert page.status == 422
    assert "Can be cancelled" not in page.text


def test_a_late_request_shows_when_the_window_ended(site, agent):
    page = asked(agent, q=site.register(service_provided_at=TOO_LONG_AGO))
    assert page.h1 == "The contractual window ended at the end of Tuesday, 31 March 2026 (Berlin time)"
    assert {"Record the request", "Only a question"} <= {button for form in page.forms for button in form.buttons}
    assert "Cancel as goodwill" not in page.source


def test_an_order_can_be_cancelled_before_its_service_is_provided(site, agent):
    page = asked(agent, q=site.register(service_provided_at=None))
    assert page.h1 == "Can be cancelled: no date of provision is on record"
    assert "Cancel this order" in [button for form in page.forms for button in form.buttons]


def test_every_day_of_the_window_is_shown_with_its_kind(site, agent):
    page = asked(agent, q=site.register())
    days = [one.text for one in page.root.one("ol", class_="strip").every("li")]
    assert days == [
        "Thu 2 Apr service day",
        "Fri 3 Apr Good Friday",
        "Sat 4 Apr weekend",
        "Sun 5 Apr weekend",
        "Mon 6 Apr Easter Monday",
        "Tue 7 Apr day 1",
        "Wed 8 Apr day 2last day today",
    ]
    (today,) = page.main.every("li", **{"aria-current": "date"})
    assert "8 Apr" in today.text


def test_the_text_for_the_customer_is_shown_in_both_languages(site):
    order = site.register()
    for language in ("en", "de"):
        page = site.browser(Role.AGENT, language).get(f"/console/orders/{order}")
        words = {one["lang"]: one.text for one in page.main.every("section", class_="words")}
        assert "Your order can be cancelled until the end of Wednesday, 8 April 2026." in words["en"]
        assert "Ihre Bestellung kann bis Mittwoch, 8. April 2026, 24 Uhr storniert werden." in words["de"]


def test_a_check_records_nothing(site, agent):
    order, before = site.register(), site.position
    for typed in (
        {"q": order},
        {"q": order, "received_at": "9:00"},
        {"q": "K-20391"},
        {"provided_on": PROVIDED},
        {"q": "nothing"},
    ):
        asked(agent, **typed)
    agent.get(f"/console/orders/{order}/cancel?channel=phone")
    agent.get(f"/console/orders/{order}/record?intent=question")
    assert site.position[0] == before[0]


def test_demonstration_orders_are_offered_and_marked():
    with time_machine.travel(datetime(2026, 4, 8, 8, 20, tzinfo=UTC), tick=False):
        site = opened()
        browser = site.browser(Role.AGENT)
        assert "Make demonstration orders" not in site.browser(Role.PRODUCT).get("/console/").source
        page = browser.press(browser.get("/console/"), "Make demonstration orders")
        made = [link for link in page.links if link.startswith("DEMO-")]
        assert len(made) == 5
        assert "DEMO-" not in site.browser(Role.PRODUCT).get("/console/").source, "they may not open them"
        assert all("demonstration" in browser.follow(page, link).text for link in made)
        assert "no service date on record" in page.text
        before = site.position
        browser.post("/console/demonstration", {"csrf_token": page.forms[0].fields["csrf_token"]})
        assert site.position == before, "the same ones again"
        site.store.close()


def test_production_offers_no_demonstration_orders(tmp_path):
    create_master_key(tmp_path / "master.key")
    with closing(Store(settings(tmp_path, env="production"))) as store:
        store.open(Opening.INIT)
    site = opened(env="production", directory=tmp_path)
    browser = site.browser(Role.ADMIN)
    page = browser.get("/console/")
    assert "demonstration" not in page.source.lower()
    before = site.position
    refused = browser.post("/console/demonstration", {"csrf_token": page.forms[0].fields["csrf_token"]})
    assert (refused.status, refused.h1) == (404, "There is nothing here")
    assert site.position == before
    site.store.close()

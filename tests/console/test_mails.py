"""Answers to customers by e-mail: the link that opens the mail, what it says to whom, and the record of it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Role
from refunds.domain.records import Intent
from refunds.presentation.texts.answers import mail_link
from refunds.security.encryption import ERASED, Hidden
from tests.console.conftest import TOO_LONG_AGO
from tests.console.test_requests import answer

HOSTILE = "a\r\nBcc: all@example.org&body=x#y <script>\u202e%0a+ü €"


def mails(page, language):
    """The addresses, subjects and texts of the mails of a page, in the customer's language."""
    words = page.main.one("section", class_="words", lang=language)
    links = [urlsplit(one["href"]) for one in words.every("a") if one["href"].startswith("mailto:")]
    return [(one.path, *(parse_qs(one.query)[name][0] for name in ("subject", "body"))) for one in links]


def test_a_mail_has_one_subject_and_one_text_whatever_they_contain():
    link = mail_link(HOSTILE, HOSTILE, "kim+tag@example.org")
    address, _, query = link.partition("?")
    assert address == "mailto:kim%2Btag@example.org"
    assert query.isascii()
    fields = parse_qs(query, strict_parsing=True)
    seen = HOSTILE.replace("\u202e", "")
    assert fields == {"subject": [seen.replace("\r\n", " ")], "body": [seen]}


@pytest.mark.parametrize("detail", [None, "+4989123456", ERASED, Hidden("kim@example.org")])
def test_a_mail_goes_to_nobody_without_an_address_that_may_be_seen(detail):
    assert mail_link("a", "b", detail) == "mailto:?subject=a&body=b"


@pytest.mark.parametrize(
    ("facts", "asks", "cancels"),
    [
        ({}, "Your order {} can be cancelled until", "Your cancellation of 8 April 2026, 10:20 was made in time."),
        ({"service_provided_at": None}, "We have no date of provision", "Your cancellation of 8 April 2026, 10:20 was"),
        (
            {"service_provided_at": TOO_LONG_AGO},
            "The contractual window for cancelling your order {} ended",
            "We have received and recorded your cancellation of 8 April 2026, 10:20.",
        ),
    ],
)
def test_a_mail_that_cancels_is_answered_otherwise_than_one_that_asks(site, agent, facts, asks, cancels):
    order = site.register(**facts)
    first, second = mails(answer(agent, order, "?channel=email"), "en")
    assert first[:2] == second[:2] == ("", f"Your order {order}")
    assert first[2].startswith(asks.format(order))
    assert second[2].startswith(cancels)


def test_what_is_written_comes_first_for_a_mail_and_what_is_said_on_the_telephone(site, agent):
    order = site.register()
    heads = {way: answer(agent, order, f"?channel={way}").headings for way in ("phone", "email")}
    kinds = {way: [one for one in found if one.startswith("To ")] for way, found in heads.items()}
    assert kinds["phone"][:3] == ["To say", "To write: they ask", "To write: they cancel"]
    assert kinds["email"][:3] == ["To write: they ask", "To write: they cancel", "To say"]


def test_the_mail_to_a_customer_is_on_record_with_one_press(site, agent):
    contact = site.record(site.register(), channel=Channel.EMAIL, from_detail="kim@example.org")
    page = agent.get(f"/console/contacts/{contact}")
    ((address, _, text),) = mails(page, "en")
    assert address == "kim@example.org"
    assert text.endswith(f"Your request number is {site.contact(page.title.split()[1]).number_aloud}.")
    page = agent.press(page, "E-mail sent to kim@example.org")
    assert page.facts["Answered"].endswith(", you: by e-mail")
    assert "Said on the telephone" not in page.text
    site.verify()


def test_what_was_said_on_the_telephone_is_on_record_with_one_press(site, agent):
    page = agent.get(f"/console/contacts/{site.record(site.register(), intent=Intent.QUESTION)}")
    assert "E-mail sent to" not in page.text
    page = agent.press(page, "Said on the telephone")
    assert page.facts["Answered"].endswith(", you: by telephone")


def test_an_auditor_gets_no_address_and_no_button(site):
    contact = site.record(site.register(), from_detail="kim@example.org")
    page = site.browser(Role.AUDITOR).get(f"/console/contacts/{contact}")
    assert "kim@example.org" not in page.source
    assert "Said on the telephone" not in page.text


@pytest.mark.parametrize("provided_on", ["2.4.2026", "27.3.2026", "9.4.2026"])
def test_without_an_order_no_words_promise_more_than_the_customer_has_told(agent, provided_on):
    """They may be wrong about the day or the place."""
    page = agent.press(agent.get("/console/"), "Check by date", provided_on=provided_on)
    for language, mail, said in (
        ("en", "This goes by what you told us", ("Going by what you tell me", "This goes by what you told us")),
        ("de", "Diese Auskunft beruht auf Ihren Angaben", ("Nach Ihren Angaben", "Diese Auskunft beruht auf")),
    ):
        ((_, _, text),) = mails(page, language)
        words = page.main.one("section", class_="words", lang=language).text
        assert mail in text
        assert any(one in words.replace(text, "") for one in said)

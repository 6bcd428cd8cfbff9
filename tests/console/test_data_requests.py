"""The page of data requests: where the privacy role begins, what is due first, and what can be done about one."""

import re
from datetime import timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.privacy import DataRequestKind, DisclosureBasis, ErasureReason, LimitKind
from refunds.domain.records import Intent
from refunds.errors import FieldError, Message
from refunds.security.encryption import ERASED
from refunds.service import contacts, findings, privacy, rectification, resolutions
from refunds.service.contacts import NewContact
from refunds.service.privacy import disclose, erase, limit
from refunds.service.rectification import CORRECTABLE
from refunds.web.console.messages import field_error_text
from tests.console.conftest import NOW, SECRETS

LIST = "/console/data-requests"
KINDS = {kind: kind for kind in DataRequestKind}


def opened(browser, request):
    """The page of a data request."""
    return browser.get(f"{LIST}/{request.request_id}")


def test_the_privacy_role_begins_at_its_requests_and_others_at_check(site):
    for role, heading in ((Role.PRIVACY, "Data requests"), (Role.AGENT, "Can this order be cancelled?")):
        browser = site.browser()
        page = browser.press(browser.get("/console/"), "Sign in", name=f"{role}-1", password=site.passwords[role])
        assert page.h1 == heading
        assert browser.follow(page, "Refunds").h1 == heading


def test_what_is_due_first_is_first_with_what_is_next(site, privacy, now):
    order = site.register(customer_ref="K-listed")
    late = site.asks(KINDS["access"], "K-listed", received_at=NOW - timedelta(days=40))
    soon = site.asks(KINDS["erasure"], "K-listed", received_at=NOW - timedelta(days=28), identity_check=None)
    done = site.asks(KINDS["objection"], "K-listed", received_at=NOW - timedelta(days=20))
    page = opened(privacy, done)
    privacy.press(page, "Note the objection")
    page = privacy.get(LIST)
    rows = [row.text for row in page.main.one("tbody").every("tr")]
    assert "days late" in rows[0]
    assert "Hand over the export" in rows[0]
    assert "Make sure who asks" in next(row for row in rows if "Erasure" in row and "2 days left" in row)
    addresses = [link["href"] for link in page.main.one("tbody").every("a")]
    assert addresses.index(f"{LIST}/{late.request_id}") < addresses.index(f"{LIST}/{soon.request_id}")
    assert f"{LIST}/{done.request_id}" not in addresses
    assert "late: answer" in page.text
    assert "until the end of the day" not in opened(privacy, late).text
    assert "until the end of the day, Berlin time" in opened(privacy, soon).text
    assert "K-listed" not in page.source
    for shown, there in (({"show": "overdue"}, late), ({"show": "closed", "kind": "objection"}, done)):
        found = privacy.submit(page.form("Show"), **shown)
        assert f"{LIST}/{there.request_id}" in found.source
        assert f"{LIST}/{soon.request_id}" not in found.source
    assert site.customer(order) is not None
    assert privacy.get(f"{LIST}?show=nothing").status == 422


def test_a_long_list_goes_on_page_by_page_in_the_order_of_what_is_due(site, privacy):
    site.register(customer_ref="K-many")
    made = [
        site.asks(KINDS["restriction"], "K-many", received_at=NOW - timedelta(days=number % 9)) for number in range(30)
    ]
    wanted = sorted(made, key=lambda one: (one.due_at, one.request_id))
    pages = list(privacy.pages(f"{LIST}?kind=restriction"))
    found = [link["href"].rpartition("/")[2] for page in pages for link in page.main.one("tbody").every("a")]
    ids = {one.request_id for one in made}
    assert [name for name in found if name in ids] == [one.request_id for one in wanted]
    assert len(pages) > 1
    assert privacy.get(f"{LIST}?after=nothing").status == 400


def test_a_request_is_entered_and_its_identity_checked(site, privacy):
    site.register(customer_ref="K-entered")
    page = privacy.follow(privacy.get(LIST), "Enter a data request")
    wrong = privacy.press(page, "Enter", kind="access")
    assert (wrong.status, set(wrong.errors)) == (422, {"customer_ref", "channel"})
    typed = {"kind": "access", "customer_ref": "K-entered", "channel": "post", "received_at": "7.4.2026"}
    assert set(privacy.press(page, "Enter", **typed | {"received_at": "never"}).errors) == {"received_at"}
    page = privacy.press(page, "Enter", **typed)
    assert page.h1 == "Access: to be answered by Thursday, 7 May 2026"
    assert "29 days left" in page.text
    assert "K-entered" not in page.source
    page = privacy.press(page, "Record the check", identity_check="Reisepass")
    assert page.facts["Identity"] == "Reisepass"
    stored = site.data_request(page.path.rpartition("/")[2])
    assert (stored.identity_check, stored.channel) == ("Reisepass", "post")


def test_what_is_wrong_with_a_field_is_said_without_a_word_of_orders(privacy):
    for typed in ({"received_at": "1.1.1900"}, {"identity_check": "4111 1111 1111 1111"}):
        page = privacy.press(
            privacy.get(f"{LIST}/new"), "Enter", kind="access", customer_ref="K-1", channel="post", **typed
        )
        assert set(page.errors) == set(typed)
        assert not re.search("order|cancel", "".join(page.errors.values()))


def test_of_nobody_the_answer_is_that_nothing_is_held(site, privacy):
    page = opened(privacy, site.asks(KINDS["access"], "K-nobody"))
    assert page.facts["Person"] == "no customer has the number given", "somebody has to search for them first"
    page = privacy.press(page, "Answered: nothing is held")
    assert page.h1 == "Access: Nothing is held"
    assert page.facts["Person"] == "nothing is held about them"


def test_the_export_is_handed_over_in_both_languages_and_as_data(site, privacy, auditor):
    site.register(customer_ref="K-handed")
    request = site.asks(KINDS["portability"], "K-handed")
    page = opened(privacy, request)
    german, english = (privacy.follow(page, name) for name in ("Export in German", "Export in English"))
    assert ("K-handed" in german.source, german.lang, english.lang) == (True, "de", "en")
    data = privacy.send("GET", page.links["Export as data (JSON)"])
    assert data.headers["Content-Disposition"] == f"attachment; filename={request.request_id}.json"
    assert data.json["orders"][0]["order"]["customer_ref"] == "K-handed"
    assert "Zu beantworten bisFreitag, 8. Mai 2026" in german.text.replace("\xa0", " ")
    assert auditor.get(f"{page.path}/export").status == 403
    assert privacy.press(page, "It is handed over").h1 == "Portability: Fulfilled"


def test_without_a_check_of_who_asks_nothing_is_exported(site, privacy):
    site.register(customer_ref="K-unchecked")
    request = site.asks(KINDS["access"], "K-unchecked", identity_check=None)
    page = privacy.get(f"{LIST}/{request.request_id}/export")
    assert (page.status, page.h1) == (409, "It is not on record who asks")
    assert "Export in German" not in opened(privacy, request).links


def test_a_request_is_extended_and_the_words_are_there_in_both_languages(site, privacy):
    site.register(customer_ref="K-busy")
    page = opened(privacy, site.asks(KINDS["access"], "K-busy"))
    assert privacy.press(page, "Extend to three months").errors == {"extension_reason": "Fill this in."}
    page = privacy.press(page, "Extend to three months", extension_reason="many records")
    assert page.h1 == "Access: to be answered by Wednesday, 8 July 2026"
    assert "The reason: many records" in page.text
    assert "Der Grund: many records" in page.text
    assert not [form for form in page.forms if "Extend to three months" in form.buttons]
    erasure = opened(privacy, site.asks(KINDS["erasure"], "K-busy"))
    assert not [form for form in erasure.forms if "Extend to three months" in form.buttons]


def test_a_fee_needs_its_reason(site, privacy):
    site.register(customer_ref="K-fee")
    page = opened(privacy, site.asks(KINDS["access"], "K-fee"))
    assert privacy.press(page, "Note the fee", fee="excessive").errors == {"fee_reason": "Fill this in."}
    page = privacy.press(page, "Note the fee", fee="further_copy", fee_reason="the third one")
    assert page.facts["Fee"] == "For a further copy: the third one"
    page = privacy.press(page, "Note the fee", fee="none")
    assert "Fee" not in page.facts


def test_a_refusal_has_its_reason_and_the_rights(site, privacy):
    site.register(customer_ref="K-refused")
    page = opened(privacy, site.asks(KINDS["access"], "K-refused"))
    assert privacy.press(page, "Refuse").errors == {"refusal_reason": "Fill this in."}
    done = privacy.press(page, "Refuse", refusal_reason="It was not her.")
    assert done.h1 == "Access: Refused"
    assert "go to court" in done.text
    assert "Datenschutzaufsichtsbehörde" in done.text
    again = privacy.press(page, "It is handed over")
    assert (again.status, again.h1) == (409, "Access: Refused")
    assert "Somebody has dealt with it meanwhile" in again.main.one("div", role="alert").text


def test_an_erasure_shows_who_to_tell_and_then_its_certificate(site, privacy):
    order = site.register(customer_ref="K-erased")
    with site.store.write(COMMAND_LINE) as uow:
        disclose(uow, "K-erased", DisclosureBasis.PROCESSOR, "a carrier", "C-1")
        customer = uow.orders.get(order).customer_id
    page = opened(privacy, site.asks(KINDS["erasure"], "K-erased"))
    assert "a carrier" in page.text
    assert "write them down before" in page.text
    hold(site, customer)
    assert "A legal hold keeps" in opened(privacy, site.data_request(page.path.rpartition("/")[2])).text
    refused = privacy.press(page, "Erase for good")
    assert "Lift the hold once its reason is gone (flask privacy lift)" in refused.main.one("div", role="alert").text
    hold(site, customer, lift=True)
    page = privacy.press(page, "Erase for good", erasure_reason="child")
    assert page.h1 == "Erasure: Fulfilled"
    assert f"Erased: customer {customer}" in page.text
    assert "Certificate of the erasure" in page.headings
    assert "a carrier" not in page.source


def hold(site, customer, *, lift=False):
    """Hold a customer, or lift that."""
    with site.store.write(COMMAND_LINE) as uow:
        if lift:
            privacy.lift(uow, customer, LimitKind.HOLD)
        else:
            privacy.limit(uow, customer, LimitKind.HOLD, "a claim")


def test_what_is_wrong_is_typed_over(site, privacy):
    order = site.register("A 1/#ö", customer_ref="K-wrong")
    contact = site.record(order, note="He called.")
    page = opened(privacy, site.asks(KINDS["rectification"], "K-wrong"))
    form, note = page.form("Correct"), f"contacts:{contact}:note"
    assert form.fields[note] == "He called."
    assert f"Request {site.contact(order).number_aloud}" in page.headings
    assert privacy.submit(form).errors
    wrong = privacy.submit(form, **{note: "4111 1111 1111 1111"})
    assert set(wrong.errors) == {note}
    customer = site.customer(order)
    emptied = privacy.submit(form, **{note: " ", f"customers:{customer}:customer_ref": "K-right"})
    assert set(emptied.errors) == {note}, "else the person would be told that it was corrected"
    assert site.contact(order).note == "He called."
    done = privacy.submit(form, **{note: "She called.", f"customers:{customer}:customer_ref": "K-right"})
    assert done.h1 == "Correction: Fulfilled"
    assert site.contact(order).note == "She called."
    with site.store.read(COMMAND_LINE) as uow:
        assert uow.orders.get(order).customer_ref == "K-right"


def test_only_what_was_typed_over_is_corrected_whatever_white_space_a_form_changes(site, privacy):
    order = site.register(customer_ref="K-spaces")
    site.record(order, note="\nHe called.\r\nTwice. ")
    contact = site.record(order, note="She called.")
    page = opened(privacy, site.asks(KINDS["rectification"], "K-spaces"))
    assert set(privacy.press(page, "Correct").errors.values()) == {"Nothing is changed: change what is wrong."}
    privacy.press(page, "Correct", **{f"contacts:{contact}:note": "They called."})
    assert [one.note for one in site.contacts(order)] == ["\nHe called.\r\nTwice. ", "They called."]


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("from_detail", "nobody", "Write a telephone number with + and its country code"),
        ("acknowledged_to", "nobody", "Write a telephone number with + and its country code"),
        ("ticket_ref", "T" * 101, "Write the ticket in one line"),
        ("note", "!", "Write at most 2000 characters"),
        ("identity_check", "x" * 501, "Write how it was checked"),
        ("customer_ref", "K-other", "Another customer has this number."),
    ],
)
def test_what_is_wrong_with_a_correction_is_said_as_where_it_was_entered(site, privacy, field, typed, said):
    site.register(customer_ref="K-other")
    order = site.register(customer_ref=f"K-{field}")
    contact = site.record(order, note="He called.", ticket_ref="T-1", from_detail="+4989123456")
    with site.store.write(COMMAND_LINE) as uow:
        resolutions.acknowledge(uow, contact, channel=Channel.PHONE, to="+4989123457")
    page = opened(privacy, site.asks(KINDS["rectification"], f"K-{field}"))
    (name,) = [one for one in page.form("Correct").names if one.endswith(f":{field}")]
    assert privacy.press(page, "Correct", **{name: typed}).errors[name].startswith(said)


def test_every_field_that_can_be_corrected_has_words_for_what_it_expects():
    general = field_error_text(FieldError("/nothing", Message("must be a text"), "invalid"))
    for field in {field for fields in CORRECTABLE.values() for field in fields}:
        assert field_error_text(FieldError(f"/table:id:{field}", Message("must be a text"), "invalid")) != general, (
            field
        )


def test_much_that_is_held_can_be_corrected_too(site, privacy):
    order = site.register(customer_ref="K-much")
    with site.store.write(COMMAND_LINE) as uow:
        for number in range(90):
            details = {"note": f"{number}: {'äöü' * 90}", "ticket_ref": f"T-{number}", "from_detail": "a@example.com"}
            contacts.record(uow, order, NewContact(channel=Channel.EMAIL, intent=Intent.QUESTION, **details))
    page = opened(privacy, site.asks(KINDS["rectification"], "K-much"))
    names = [name for name in page.form("Correct").names if name.endswith(":note")]
    assert len(names) == 90
    refused = privacy.press(page, "Correct", **{names[0]: "x" * 2**18})
    assert (refused.status, refused.h1) == (413, page.h1)
    assert "at most 256 kB can be sent" in refused.main.one("div", role="alert").text
    done = privacy.press(page, "Correct", **{names[0]: "Was friendly."})
    assert (done.status, done.h1) == (200, "Correction: Fulfilled")
    assert [one.note for one in site.contacts(order)].count("Was friendly.") == 1


def test_the_second_who_corrects_keeps_what_they_typed(site, privacy):
    order = site.register(customer_ref="K-twice")
    contact = site.record(order, note="He called.")
    request, note = site.asks(KINDS["rectification"], "K-twice"), f"contacts:{contact}:note"
    mine, theirs = (opened(privacy, request).form("Correct") for _ in range(2))
    privacy.submit(theirs, **{note: "She called."})
    page = privacy.submit(mine, **{note: "They called."})
    assert (page.status, page.facts["Note"]) == (409, "They called.")
    assert site.contact(order).note == "She called."


@pytest.mark.parametrize(
    ("kind", "button"), [("restriction", "Restrict the use of the data"), ("objection", "Note the objection")]
)
def test_a_limit_is_set_and_lifted(site, privacy, kind, button):
    order = site.register(customer_ref=f"K-{kind}")
    page = privacy.press(opened(privacy, site.asks(KINDS[kind], f"K-{kind}")), button, outcome_reason="a dispute")
    with site.store.read(COMMAND_LINE) as uow:
        assert uow.limits.kinds(site.customer(order)) == {kind}
    page = privacy.press(page, "Lift it")
    assert page.h1.endswith(": Taken back")
    with site.store.read(COMMAND_LINE) as uow:
        assert not uow.limits.kinds(site.customer(order))


@pytest.mark.parametrize(("language", "button"), [("en", "Correct"), ("de", "Berichtigen")])
def test_what_was_emptied_is_not_to_be_corrected_and_is_in_nobodys_way(site, language, button):
    order = site.register(customer_ref=f"K-emptied-{language}")
    gone = site.record(order, note="Gone.", ticket_ref="T-1", from_detail="+4989123456")
    kept = site.record(order, note="Kept.", received_at=NOW - timedelta(seconds=90))
    with site.store.write(COMMAND_LINE) as uow:
        findings.empty(uow, gone, ErasureReason.REQUEST)
    officer = site.browser(Role.PRIVACY, language)
    page = opened(officer, site.asks(KINDS["rectification"], f"K-emptied-{language}"))
    assert not [name for name in page.form(button).fields if gone in name]
    assert officer.press(page, button, **{f"contacts:{kept}:note": "Corrected."}).status == 200
    assert {one.note for one in site.contacts(order)} == {ERASED, "Corrected."}


def test_a_page_says_that_another_request_still_restricts_the_data(site, privacy):
    order = site.register(customer_ref="K-twice")
    button = "Restrict the use of the data"
    pages = [privacy.press(opened(privacy, site.asks(KINDS["restriction"], "K-twice")), button) for _ in "ab"]
    assert "The data stay limited" in pages[1].text
    assert privacy.press(pages[0], "Lift it").facts["Person"] == "a customer restriction"
    assert "Tell the person before." in privacy.get(pages[1].path).text
    with site.store.read(COMMAND_LINE) as uow:
        assert uow.limits.kinds(site.customer(order)) == {"restriction"}
    assert privacy.press(pages[1], "Lift it").facts["Person"] == "a customer"


def test_a_request_of_somebody_erased_by_command_ends_with_the_certificate(site, privacy):
    order = site.register(customer_ref="K-by-command")
    request, later = (site.asks(KINDS["erasure"], "K-by-command", **more) for more in ({}, {"identity_check": None}))
    with site.store.write(COMMAND_LINE) as uow:
        erase(uow, site.customer(order), ErasureReason.ACCOUNT_DELETED)
    page = privacy.press(opened(privacy, request), "Record that they were erased")
    assert page.h1 == "Erasure: Fulfilled"
    assert "Certificate of the erasure" in page.headings
    assert "nothing is held" in opened(privacy, later).text.lower()


def test_who_erases_is_told_of_a_copy_that_is_asked_for_and_can_close_that_request(site, privacy):
    site.register(customer_ref="K-copied")
    copy = site.asks(KINDS["access"], "K-copied", identity_check=None)
    erasure = site.asks(KINDS["erasure"], "K-copied")
    page = privacy.press(opened(privacy, erasure), "Erase for good")
    assert page.status == 409
    assert "a data request for its copy" in page.text
    privacy.press(opened(privacy, copy), "Close it")
    assert "Certificate of the erasure" in privacy.press(page, "Erase for good").text


def test_who_erases_is_told_of_a_restriction(site, privacy):
    order = site.register(customer_ref="K-restricted-erasure")
    request = site.asks(KINDS["erasure"], "K-restricted-erasure")
    hint = "The customer has restricted the use of their data"
    assert hint not in opened(privacy, request).text
    with site.store.write(COMMAND_LINE) as uow:
        limit(uow, site.customer(order), LimitKind.RESTRICTION, "a claim of theirs")
    assert hint in opened(privacy, request).text


def test_the_form_to_correct_says_that_it_does_not_have_all_orders(site, privacy, monkeypatch):
    monkeypatch.setattr(rectification, "MOST", 2)
    site.register(customer_ref="K-orders")
    request = site.asks(KINDS["rectification"], "K-orders")
    hint = "Here are the first 2 orders."
    for expected in (False, False, True):
        assert (hint in opened(privacy, request).text) is expected
        site.register(customer_ref="K-orders")


def test_an_auditor_sees_the_requests_without_what_is_personal(site, auditor, records):
    page = auditor.get(f"{LIST}/{records['request_id']}")
    assert page.status == 200
    assert not page.forms
    assert not any(secret in page.source for secret in (*SECRETS, "passport"))
    assert "What is next" not in auditor.get(LIST).text


def test_a_link_chooses_neither_why_nor_that_an_erasure_does_not_wait(site, privacy):
    site.register(customer_ref="K-linked")
    request = site.asks(KINDS["erasure"], "K-linked")
    for chosen in ("erasure_reason=child", "anyway=so", "outcome_reason=no", "fee=excessive"):
        page = privacy.get(f"{LIST}/{request.request_id}?doing=refuse&{chosen}")
        assert (page.status, page.h1) == (400, "A link cannot choose that")


@pytest.mark.parametrize("text", ["\x1b[31m\u202e", "x" * 5000, "a\0b", "4111 1111 1111 1111"])
def test_no_such_text_is_taken_by_any_field_of_a_form(site, privacy, text):
    site.register(customer_ref="K-rubbish")
    request = site.asks(KINDS["access"], "K-rubbish")
    page, before = opened(privacy, request), site.position
    for form in page.forms:
        for field in form.element.every("input", "textarea"):
            if field["type"] != "hidden":
                sent = privacy.post(page.path, form.fields | {field["name"]: text})
                assert sent.status == 422, field["name"]
    token = page.forms[0].fields["csrf_token"]
    for doing in ("nothing", text):
        assert privacy.post(page.path, {"csrf_token": token, "doing": doing}).status == 422
    unsent = privacy.get(f"{LIST}/new").form("Enter")
    for name in ("customer_ref", "received_at", "identity_check", "recipient"):
        typed = {"kind": "access", "channel": "post", "customer_ref": "K-rubbish"} | {name: text}
        assert privacy.submit(unsent, **typed).status == 422, name
    assert site.position == before


@pytest.mark.parametrize("kind", ["access", "portability", "erasure"])
def test_who_answers_is_told_what_is_not_found_by_the_customer_number(site, privacy, kind):
    """A request whose order was not found, or about another customer's order, is nobody's."""
    site.register(customer_ref=f"K-else-{kind}")
    page = opened(privacy, site.asks(KINDS[kind], f"K-else-{kind}"))
    assert "flask privacy find" in page.main.one("section").text


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_export_claims_no_more_than_it_has(site, language):
    site.register(customer_ref=f"K-claims-{language}")
    request = site.asks(KINDS["access"], f"K-claims-{language}")
    text = site.browser(Role.PRIVACY).get(f"{LIST}/{request.request_id}/export?language={language}").text
    assert {"en": "stores under your customer number", "de": "unter Ihrer Kundennummer"}[language] in text

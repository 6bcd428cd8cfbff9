"""How product teams change policies: a version is published or withdrawn, or a day closed, as it was shown before."""

from contextlib import closing
from datetime import timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import FieldError, Message
from refunds.schemas.policy import policy_file, read_policy
from refunds.service import publication
from refunds.web.console.policies import _error_in
from tests.console.conftest import opened
from tests.console.pages import Page

POLICY = "virtual-numbers"
DRAFT = """policy = "virtual-numbers"
version = 2
effective_from = 2026-05-01T00:00:00+02:00
window_business_days = 3

[texts]
de = "Innerhalb von 2 Werktagen."
"""


@pytest.fixture
def own():
    """An installation of its own, with a user of every role."""
    site = opened()
    with closing(site.store):
        yield site


def shown(browser, text=DRAFT, **more):
    """The dry run of a draft."""
    return browser.press(browser.get("/console/draft"), "See what it changes", draft=text, **more)


def versions(site, policy_id=POLICY):
    """The numbers of the versions of a policy, and of those that will be or are in force."""
    with site.store.read(COMMAND_LINE) as uow:
        found = uow.policies[policy_id]
        return len(found.versions), [one.version for one in found.effective_versions]


def test_a_version_is_shown_and_then_published_as_it_was_shown(own):
    product, before = own.browser(Role.PRODUCT), own.position
    page = shown(product)
    assert (page.status, page.h1) == (200, "What it changes")
    assert "Version 2 of virtual-numbers would be published. It follows version 1." in page.text
    assert "Friday, 1 May 2026" in page.text
    assert "Window: 3 business days (was: 2 business days)" in page.text
    assert page.notices == [
        'Warning: The German clause says "2 Werktagen"; the term window_business_days says: 3 business days.'
    ]
    assert "It judges services that are provided from then on." in page.text
    assert "Innerhalb von 2 Werktagen." in page.text
    assert own.position == before, "a dry run changes nothing"
    page = product.press(page, "Publish it as shown")
    assert page.path == f"/console/policies/{POLICY}"
    assert "Version 2 of virtual-numbers is published. It follows version 1." in page.text
    assert versions(own) == (2, [1, 2])
    page = shown(product)
    assert page.h1 == "This is published already"
    assert "nothing has changed" in page.text
    assert not [form for form in page.forms if "Publish it as shown" in form.buttons]
    own.verify()


def test_the_console_says_what_the_api_says(own):
    page = shown(own.browser(Role.PRODUCT))
    with own.store.read(COMMAND_LINE) as uow:
        again = publication.publish(uow, read_policy(DRAFT), dry_run=True)
    assert len(page.main.one("ul").children) >= len(again.differences) == 2


def test_sending_the_publication_twice_publishes_once(own):
    product = own.browser(Role.PRODUCT)
    form = shown(product).form("Publish it as shown")
    for said in ("is published", "was registered before; nothing has changed"):
        assert said in product.submit(form).text
    assert versions(own) == (2, [1, 2])


def test_an_address_says_nothing_of_a_policy_that_was_not_done_in_this_session(own, now):
    product = own.browser(Role.PRODUCT)
    for query in ("done=published&version=1", "done=known&version=1", "said=published", "said=W10.x.y"):
        assert "Version 1 of" not in product.get(f"/console/policies/{POLICY}?{query}").text, query
    page = product.press(shown(product), "Publish it as shown")
    path, said = page.address.partition("localhost")[2], "is published"
    assert said in product.get(path).main.one("div", role="status").text, "loaded again"
    assert not list(own.browser(Role.SUPERVISOR).get(path).main.every("div", role="status")), "somebody else did it"
    now.shift(timedelta(minutes=6))
    assert not list(product.get(path).main.every("div", role="status")), "that was a while ago"


def test_a_publication_is_refused_if_what_was_shown_has_changed_meanwhile(own):
    """Version 2 is withdrawn between the dry run of version 3, which followed it, and its publication."""
    product = own.browser(Role.PRODUCT)
    product.press(shown(product), "Publish it as shown")
    third = (
        DRAFT.replace("version = 2", "version = 3").replace("2026-05-01", "2026-06-01").replace("days = 3", "days = 4")
    )
    page = shown(product, third)
    assert "It follows version 2" in page.text
    with own.store.write(COMMAND_LINE) as uow:
        publication.withdraw(uow, POLICY, 2)
    before = own.position
    page = product.press(page, "Publish it as shown")
    assert page.status == 422
    assert page.errors == {"shown": "Something has changed since this was shown. Look at it again: nothing was done."}
    assert "It follows version 1" in page.text, "the fresh dry run"
    assert own.position == before
    product.press(page, "Publish it as shown")
    assert versions(own) == (3, [1, 3])


def test_a_draft_that_was_changed_after_it_was_shown_is_not_published(own):
    product, before = own.browser(Role.PRODUCT), own.position
    form = shown(product).form("Publish it as shown")
    page = product.submit(form, draft=DRAFT.replace("days = 3", "days = 30"))
    assert (page.status, page.errors.keys()) == (422, {"shown"})
    assert own.position == before


def test_a_draft_begins_with_the_text_of_the_version_before_it(own):
    product = own.browser(Role.PRODUCT)
    page = product.follow(product.get(f"/console/policies/{POLICY}"), "Publish the next version")
    text = page.form("See what it changes").fields["draft"]
    assert "version = 2" in text
    page = product.press(
        page,
        "See what it changes",
        draft=text.replace("window_business_days = 2", "window_business_days = 5"),
        now="yes",
    )
    assert "would be published" in page.text
    page = product.press(page, "Publish it as shown")
    assert "is published" in page.text
    assert versions(own) == (2, [1, 2])


def test_a_new_policy_can_begin(own):
    product = own.browser(Role.PRODUCT)
    page = shown(product, 'policy = "devices"\nversion = 1\nregion = "AT"\n', now="yes")
    assert "It begins a new policy." in page.text
    assert "The clause as customers read it – Publish it" in page.text, "it has none"
    assert "Simulate it on past orders" not in page.source
    assert product.press(page, "Publish it as shown").path == "/console/policies/devices"


def test_a_draft_can_be_simulated_before_it_is_published_and_kept(own):
    product = own.browser(Role.PRODUCT)
    page = product.press(shown(product), "Simulate it on past orders")
    assert page.status == 200
    assert "3 business days (was: 2 business days)" in page.text
    page = product.press(page, "Back to the draft")
    assert product.press(page, "Publish it as shown").path == f"/console/policies/{POLICY}"


def uploaded(browser, content, text="", name="draft.toml"):
    """The page that follows when a file is chosen and sent."""
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    fields = part.format("csrf_token", browser.token) + part.format("draft", text)
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = (fields + head).encode() + content + b"\r\n--x--\r\n"
    sent = browser.send("POST", "/console/draft", data=body, content_type="multipart/form-data; boundary=x")
    return Page(sent, "/console/draft")


def test_a_file_takes_the_place_of_the_text(own):
    page = uploaded(own.browser(Role.PRODUCT), b"\xef\xbb\xbf" + DRAFT.replace("\n", "\r\n").encode(), "something else")
    assert (page.status, page.h1) == (200, "What it changes")
    assert page.form("Publish it as shown").fields["draft"].startswith('policy = "virtual-numbers"\nversion = 2\n')


WRONG = {
    "nothing": ("", "draft", "Fill this in."),
    "no TOML": ("policy virtual-numbers", "draft", "line 1, column 8: not TOML: each line is like window_business_days = 2, no name comes twice, and a text is in quotation marks"),
    "YAML": ("policy: virtual-numbers\nversion: 2\n", "draft", "line 1, column 7: not TOML"),
    "an unknown term": (DRAFT.replace("window_business_days", "window_days"), "draft", "line 4: window_days: unknown term: the terms are window_business_days"),
    "a number that does not fit": (DRAFT.replace("days = 3", "days = 0"), "draft", "line 4: window_business_days: must be from 1 to 366"),
    "a wrong part": (DRAFT + "[phone]\naccepted = true\npoints = ['nobody']\n", "draft", "line 10: phone.points.0: "),
    "no version": ('policy = "virtual-numbers"\n', "draft", "version: is required"),
    "a gap": (DRAFT.replace("version = 2", "version = 7"), "draft", "line 2: version: is 7, but must be 2"),
    "a taken number": (DRAFT.replace("version = 2", "version = 1"), "draft", "the next is version 2"),
    "an unknown region": (DRAFT.replace("window_business_days = 3", 'region = "DE-XX"'), "draft", "line 4: region: "),
    "a date in the past": (DRAFT.replace("2026-05-01", "2026-03-01"), "draft", "line 3: effective_from: must be 2026-04-08T08:20:00Z or later"),
    "no change": ('policy = "virtual-numbers"\nversion = 2\neffective_from = 2027-01-01T00:00:00Z\n{same}', "draft", "changes nothing"),
    "not clear from when": (DRAFT.replace("effective_from = 2026-05-01T00:00:00+02:00\n", ""), "now", "When does it take effect?"),
    "a card number": (DRAFT.replace("von 2", "von 4111 1111 1111 1111"), "draft", "texts.de: must not contain"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_draft_that_does_not_fit_is_an_error_beside_its_field_with_its_line(own, what):
    text, field, said = WRONG[what]
    with own.store.read(COMMAND_LINE) as uow:
        same = policy_file(uow.policies[POLICY].versions[0]).partition("version = 1\n")[2]
    text, before = text.replace("{same}", same), own.position
    page = shown(own.browser(Role.PRODUCT), text)
    assert page.status == 422
    assert page.errors.keys() == {field}
    assert said in page.errors[field]
    assert page.form("See what it changes").fields["draft"] == text.strip()
    assert own.position == before


def test_all_that_is_wrong_in_a_draft_is_said_at_once_in_the_readers_language(own):
    browser = own.browser(Role.PRODUCT, "de")
    text = DRAFT.replace("window_business_days = 3", 'window_business_days = 0\nregoin = "DE"')
    page = browser.press(browser.get("/console/draft"), "Änderungen ansehen", draft=text)
    assert "Zeile 4: window_business_days: " in page.text
    assert "Zeile 5: regoin: " in page.text
    assert "unknown" not in page.text


NOT_TOML = {
    "the end is missing": ("policy", "at the end of the text: not TOML", "am Ende des Textes: kein TOML"),
    "nested": ("a = " + "[" * 3_000, "nested too deeply", "zu tief verschachtelt"),
    "a number without end": ("version = " + "1" * 5_000, "not TOML: each line", "kein TOML: Jede Zeile"),
}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("what", NOT_TOML)
def test_a_text_that_is_not_toml_is_said_to_be_so_in_the_readers_language(own, what, language):
    text, *said = NOT_TOML[what]
    browser = own.browser(Role.PRODUCT, language)
    button = ("See what it changes", "Änderungen ansehen")[language == "de"]
    error = browser.press(browser.get("/console/draft"), button, draft=text).errors["draft"]
    assert said[language == "de"] in error
    assert not any(word in error for word in ("Expected", "document", "recursion", "limit"))


def test_an_error_of_the_whole_text_names_no_line():
    text = DRAFT.replace("window_business_days = 3", 'business_week = [\n  "MON",\n  "TUE",\n]')
    assert _error_in(text, FieldError("", Message("changes nothing"))).detail == "changes nothing"


FILES = {
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 100, "This is not text in UTF-8"),
    "UTF-16": (DRAFT.encode("utf-16"), "This is not text in UTF-8"),
    "Latin-1": (DRAFT.replace("Innerhalb", "Für").encode("latin-1"), "This is not text in UTF-8"),
    "control characters": (b"policy\x00 = 1", "This is not text in UTF-8"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_text_is_an_error_beside_its_field(own, what):
    content, said = FILES[what]
    page = uploaded(own.browser(Role.PRODUCT), content)
    assert (page.status, page.errors.keys()) == (422, {"file"})
    assert said in page.errors["file"]
    assert page.form("See what it changes").fields["draft"] == "", "what cannot be read is not shown"


def test_a_file_of_ten_megabytes_is_an_error_beside_its_field(own):
    page = uploaded(own.browser(Role.PRODUCT), b"#" * 10 * 2**20)
    assert (page.status, page.errors.keys()) == (413, {"file"})


def test_a_version_to_come_is_withdrawn_after_it_was_shown_what_that_means(own):
    product = own.browser(Role.PRODUCT)
    product.press(shown(product), "Publish it as shown")
    page = product.follow(product.get(f"/console/policies/{POLICY}"), "Withdraw it: Version 2")
    assert "It was to be in force from Friday, 1 May 2026" in page.text
    assert "Version 1 stays in force." in page.text
    form = page.form("Withdraw it")
    page = product.submit(form)
    assert "Version 2 of virtual-numbers is withdrawn." in page.text
    assert versions(own) == (2, [1])
    before = own.position
    product.submit(form)
    assert own.position == before, "once"
    assert "is withdrawn" in product.get(f"/console/policies/{POLICY}/versions/2/withdrawal").text


def test_a_version_in_force_is_not_withdrawn(own, now):
    product = own.browser(Role.PRODUCT)
    assert "since the beginning" in product.get(f"/console/policies/{POLICY}/versions/1/withdrawal").text
    product.press(shown(product), "Publish it as shown")
    form = product.get(f"/console/policies/{POLICY}/versions/2/withdrawal").form("Withdraw it")
    now.move_to("2026-05-01T12:00:00+02:00")
    product, before = own.browser(Role.PRODUCT), own.position
    page = product.submit(form, csrf_token=product.token)
    assert (page.status, page.errors.keys()) == (422, {"shown"})
    assert "has been in force since" in page.text
    assert own.position == before
    assert product.get(f"/console/policies/{POLICY}/versions/9/withdrawal").status == 404


def test_a_day_is_closed_after_it_was_shown_what_that_means(own):
    product, before = own.browser(Role.PRODUCT), own.position
    page = product.get(f"/console/policies/{POLICY}")
    page = product.press(page, "See what it changes", date="10.4.2026", reason_de="Umzug", reason_en="Moving house")
    assert page.h1 == "Close on Friday, 10 April 2026?"
    assert "Every window that has not ended yet skips it." in page.text
    assert "It cannot be undone" in page.text
    assert own.position == before
    form = page.form("Enter it as shown")
    page = product.submit(form)
    assert "The vendor is closed on Friday, 10 April 2026." in page.text
    assert "Moving house" in page.text
    before = own.position
    assert "entered before; nothing has changed" in product.submit(form).text
    assert own.position == before


@pytest.mark.parametrize(
    ("typed", "field"),
    [({"date": ""}, "date"), ({"date": "soon"}, "date"), ({"date": "2099-01-01"}, "date"), ({"date": "2026-02-30"}, "date"),
     ({"date": "2026-04-10", "reason_de": "!"}, "reason_de"), ({"date": "2026-04-10", "reason_en": "4111 1111 1111 1111"}, "reason_en")],
)  # fmt: skip
def test_a_wrong_closure_is_an_error_beside_its_field_and_what_was_typed_stays(own, typed, field):
    product, before = own.browser(Role.PRODUCT), own.position
    page = product.press(product.get(f"/console/policies/{POLICY}"), "See what it changes", **typed)
    assert (page.status, page.errors.keys()) == (422, {field})
    assert page.form("See what it changes").fields["date"] == typed["date"]
    assert own.position == before


def test_a_closure_in_the_past_is_shown_as_one(own):
    product = own.browser(Role.PRODUCT)
    page = product.press(product.get(f"/console/policies/{POLICY}"), "See what it changes", date="2026-04-05")
    assert "It is in the past" in page.text
    assert "It is not a business day in the policy's region anyway." in page.text
    form = page.form("Enter it as shown")
    assert "It is in the past" in product.submit(form).text
    page = product.submit(form, date="2026-04-07")
    assert (page.status, page.errors.keys()) == (422, {"shown"}), "another day than was shown"


@pytest.mark.parametrize(
    ("typed", "day"), [("24.12.", "24 December 2026"), ("7 April", "7 April 2027"), ("8.4.", "8 April 2026")]
)
def test_a_closure_without_a_year_is_the_next_such_date(own, typed, day):
    product = own.browser(Role.PRODUCT)
    page = product.press(product.get(f"/console/policies/{POLICY}"), "See what it changes", date=typed)
    assert page.h1.endswith(f"{day}?")
    assert "It is in the past" not in page.text


def test_windows_that_a_closure_or_a_version_makes_longer_are_promised_so(own):
    order = own.register()
    product = own.browser(Role.PRODUCT)
    page = product.press(product.get(f"/console/policies/{POLICY}"), "See what it changes", date="2026-04-08")
    product.press(page, "Enter it as shown")
    with own.store.read(COMMAND_LINE) as uow:
        assert uow.promises.current(order).told.deadline.isoformat() == "2026-04-09T22:00:00+00:00"


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.AUDITOR])
def test_other_roles_neither_see_nor_send_these_forms(own, role):
    browser, before = own.browser(role), own.position
    page = browser.get(f"/console/policies/{POLICY}")
    assert "/console/draft" not in page.source
    assert "closures" not in page.source
    for path in ("/console/draft", "/console/draft/publication", f"/console/policies/{POLICY}/closures/entry"):
        assert browser.post(path, {"csrf_token": browser.token, "draft": DRAFT}).status == 403
    assert own.position == before


@pytest.mark.parametrize(
    ("date", "said"),
    [("2026-04-10 12:00", "without a time"), ("2026-02-30", "Write a date that exists"), ("2099-01-01", "five years away")],
)  # fmt: skip
def test_what_is_wrong_with_the_date_of_a_closure_is_said(own, date, said):
    product = own.browser(Role.PRODUCT)
    page = product.press(product.get(f"/console/policies/{POLICY}"), "See what it changes", date=date)
    assert said in page.errors["date"]

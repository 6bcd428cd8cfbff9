"""What product teams and auditors see: versions, simulations, and whether the journal is intact."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import publication, simulation
from refunds.storage.sqlite import sqlite3
from tests.console.conftest import NOW, opened


@pytest.fixture(scope="module")
def past():
    """An installation with two versions, a closure, and orders and contacts, some of whose decisions would change."""
    with time_machine.travel(NOW - timedelta(days=30), tick=False) as clock:
        site = opened()
        with site.store.write(COMMAND_LINE) as uow:
            first = uow.policies["virtual-numbers"].versions[0]
            terms = replace(first.terms, vendor_name="Example & Sons", page_url="https://example.com/refunds")
            publication.publish(uow, replace(first, version=2, effective_from=None, terms=terms))
            publication.close(uow, "virtual-numbers", datetime(2026, 5, 15, tzinfo=UTC).date(), "Ausflug", "Outing")
        for day in range(8):
            at = f"2026-03-{10 + day}T10:00:00Z"
            clock.move_to(datetime(2026, 3, 10 + day, 11, tzinfo=UTC))
            order = site.register(service_provided_at=at, region=("DE-BY", "AT", None)[day % 3])
            clock.shift(timedelta(days=day))
            site.record(order)
    yield site
    site.store.close()


def counts(table):
    """The rows of a table, by their first cells."""
    return {
        cells[0]: cells[1:]
        for row in table.every("tr")
        if len(cells := [one.text for one in row.every("th", "td")]) > 1
    }


@pytest.mark.parametrize("days", [1, 3, 5])
def test_a_simulation_shows_the_figures_of_the_service(past, days):
    browser = past.browser(Role.ADMIN)
    page = browser.press(browser.get("/console/policies/virtual-numbers"), "Simulate", window_business_days=str(days))
    assert (page.status, page.query["window_business_days"]) == (200, str(days))
    with past.store.read(COMMAND_LINE) as uow:
        present = uow.policies["virtual-numbers"].current(uow.now)
        draft = replace(present, version=3, terms=replace(present.terms, window_business_days=days))
        found = simulation.simulate(uow, draft)
    total = found.total
    assert total.orders == total.contacts == 8
    assert total.to_eligible + total.to_refused > 0
    for flipped in found.orders_flipped.values():
        assert f"Orders: {flipped}" in page.text, "one is not '1 orders'"
    rows = [counts(table) for table in page.root.every("table")]
    (by_month, *_) = (each for each in rows if "March 2026" in each)
    march = found.by_month["2026-03"]
    figures = [march.orders, march.longer, march.shorter, march.contacts, march.to_eligible, march.to_refused]
    assert [int(cell.strip("+−-") or 0) for cell in by_month["March 2026"]] == figures


def test_a_simulation_records_nothing(past):
    before, browser = past.position, past.browser(Role.PRODUCT)
    browser.get(
        "/console/policies/virtual-numbers/simulation?window_business_days=9&business_week=mon-sat&timely_by=sent"
    )
    assert past.position == before


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("window_business_days=2", "window_business_days", "That is what the policy says already"),
        ("window_business_days=0", "window_business_days", "Write a whole number from 1 to 366."),
        ("window_business_days=367", "window_business_days", "Write a whole number from 1 to 366."),
        ("window_business_days=two", "window_business_days", "Write a whole number from 1 to 366."),
        ("window_business_days=2.5", "window_business_days", "Write a whole number from 1 to 366."),
        ("window_business_days=5&business_week=sun", "business_week", "Choose one of the weeks."),
        ("window_business_days=5&timely_by=guess", "timely_by", "Choose one of the two."),
    ],
)
def test_an_invalid_change_is_kept_and_explained(past, query, field, message):
    page = past.browser(Role.PRODUCT).get(f"/console/policies/virtual-numbers/simulation?{query}")
    assert page.status == 422
    assert page.errors[field].startswith(message)
    assert page.form("Simulate").fields["window_business_days"] == page.query["window_business_days"]


def test_versions_are_shown_newest_first_with_their_changes(past):
    browser = past.browser(Role.PRODUCT)
    page = browser.follow(browser.get("/console/policies"), "virtual-numbers")
    assert [one for one in page.headings if one.startswith("Version ")] == ["Version 2 in force", "Version 1"]
    newest, oldest = page.root.every("section", class_="version")
    assert "Example & Sons" in newest.text
    assert "What it changed" in newest.text
    assert "What it changed" not in oldest.text
    assert {one["lang"] for one in newest.every("blockquote")} == {"de", "en"}
    assert "Outing" in page.text
    assert "Friday, 15 May 2026" in page.text


def test_an_agent_can_run_no_simulation(past):
    assert "Simulate" not in past.browser(Role.AGENT).get("/console/policies/virtual-numbers").source
    assert (
        past.browser(Role.AGENT).get("/console/policies/virtual-numbers/simulation?window_business_days=5").status
        == 403
    )


def test_an_unknown_policy_is_not_found(past):
    browser = past.browser(Role.PRODUCT)
    for path in ("/console/policies/nothing", "/console/policies/nothing/simulation?window_business_days=5"):
        assert browser.get(path).status == 404


def seals(page):
    """The last cell of each line of the journal: whether its seal holds."""
    return [list(row.every("td"))[-1].text for row in page.root.one("tbody").every("tr")]


def test_the_journal_is_shown_page_by_page_and_every_seal_holds(site, auditor):
    for _ in range(60):
        site.register()
    page, positions = auditor.get("/console/journal"), []
    while True:
        rows = [[cell.text for cell in row.every("td")] for row in page.root.one("tbody").every("tr")]
        positions += [int(row[0]) for row in rows]
        assert {row[-1] for row in rows} == {"holds"}
        if "Next page" not in page.links:
            break
        page = auditor.follow(page, "Next page")
    assert positions == list(range(site.end, 0, -1))


def test_the_whole_journal_is_verified_when_the_button_is_pressed(past):
    browser = past.browser(Role.AUDITOR)
    page = browser.press(browser.get("/console/journal"), "Verify all of it")
    assert page.status == 200
    (verdict,) = page.main.every("div", class_="verdict")
    assert verdict.text.startswith("Nothing has been changed")
    assert page.facts["From where to where"].startswith(f"Entries 1 to {past.end}, ")
    assert page.facts["By whom"] == f"you {past.principal(Role.AUDITOR).actor}"
    assert len(page.facts["Hash of the last entry"]) == 64


TAMPERED = {
    "an order": (
        "UPDATE orders SET service_provided_at = service_provided_at + 86400000000 WHERE order_id = :order",
        "orders {order}",
    ),
    "a contact": ("UPDATE contacts SET received_at = received_at - 1 WHERE order_id = :order", "contacts con_"),
    "a contact taken out": ("DELETE FROM contacts WHERE order_id = :order", "contacts con_"),
    "an event": ("UPDATE events SET actor = 'usr_somebody' WHERE position = :position", "position {position}"),
    "an event taken out": ("DELETE FROM events WHERE position = :position", "position {position}"),
    "a note": ("UPDATE contacts SET note = zeroblob(40) WHERE order_id = :order", "contacts con_"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_change_behind_the_services_back_is_found(tmp_path, what):
    site = opened(directory=tmp_path, engine="sqlite")
    order = site.register()
    site.record(order, note="a note")
    position = site.end
    site.register()
    browser = site.browser(Role.AUDITOR)
    assert set(seals(browser.get("/console/journal"))) == {"holds"}
    change, place = TAMPERED[what]
    with closing(sqlite3.connect(tmp_path / "refunds.db")) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        values = {"order": order, "position": position}
        changed = database.execute(change, {name: value for name, value in values.items() if f":{name}" in change})
        assert changed.rowcount >= 1
        database.commit()
    page = browser.press(browser.get("/console/journal"), "Verify all of it")
    assert page.status == 200
    (verdict,) = page.main.every("div", class_="verdict")
    assert verdict.text.startswith("The records have been changed")
    assert place.format(order=order, position=position) in verdict.text
    assert "SELECT" not in page.source
    if what.startswith("an event"):
        assert "broken" in seals(browser.get("/console/journal"))
    site.store.close()


@pytest.mark.parametrize(("language", "said"), [("en", "differs from the journal"), ("de", "weicht vom Journal ab")])
def test_every_change_is_listed_up_to_a_hundred_in_the_readers_language(tmp_path, language, said):
    site = opened(directory=tmp_path, engine="sqlite")
    ids = sorted(site.register() for _ in range(103))
    with closing(sqlite3.connect(tmp_path / "refunds.db")) as database:
        database.execute("UPDATE orders SET revision = 9")
        database.commit()
    browser = site.browser(Role.AUDITOR, language)
    page = browser.press(browser.get("/console/journal"), {"en": "Verify all of it", "de": "Alles prüfen"}[language])
    (verdict,) = page.main.every("div", class_="verdict")
    assert [line.text for line in verdict.every("li")] == [f"orders {order}: {said}" for order in ids[:100]]
    assert {"en": "and 3 more", "de": "und 3 weitere"}[language] in verdict.text
    site.store.close()


@pytest.mark.parametrize("language", ["en", "de"])
def test_pages_that_show_names_say_that_the_journal_does_not_vouch_for_them(site, language):
    """The name of a user can be erased, so it is stored only beside the id."""
    order = site.register()
    said = {
        f"/console/orders/{order}/history": {
            "en": "Names of users are shown as they are stored now; the journal vouches only for their ids.",
            "de": "Namen von Benutzern werden so gezeigt, wie sie jetzt gespeichert sind",
        },
        "/console/journal": {
            "en": "The seals cover the ids of users, but not their names.",
            "de": "Die Siegel umfassen die IDs der Benutzer, nicht aber ihre Namen.",
        },
    }
    admin = site.browser(Role.ADMIN, language)
    for path, words in said.items():
        assert words[language] in admin.get(path).text
    assert said["/console/journal"][language] not in site.browser(Role.AUDITOR, language).get("/console/journal").text

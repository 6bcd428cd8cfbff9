"""A stored decision names its holidays as they were named when it was recorded, wherever it is shown."""

import json
from datetime import date
from itertools import count

import orjson
import pytest

from refunds.domain.eligibility import Decision
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import LANGUAGES
from refunds.presentation import decisions
from refunds.service import users
from tests.api.conftest import IN_TIME, PROVIDED, now  # noqa: F401 - a fixture
from tests.changed_data import EVERYWHERE, other_holidays
from tests.cli.test_proof import Place
from tests.console.conftest import signed_in

NAMES = {"de": ["Karfreitag", "Ostermontag"], "en": ["Good Friday", "Easter Monday"]}
OTHER = "Tag der Umbenennung"
LATER = {"another name": lambda *_: (OTHER, "de"), "no holiday": lambda *_: None}
FRIDAY, MONDAY = "2026-04-03", "2026-04-06"
_numbers = count(1)


class Shown:
    """An order that was cancelled on a call, over Easter, and everything that shows it."""

    def __init__(self, place):
        self.place, self.desk = place, place.desk()
        self.order_id = self.desk.register()
        self.contact_id = self.desk.record(self.order_id).json["contact_id"]
        self.cancellation_id = self.desk.cancelled(self.order_id, contact_id=self.contact_id)["cancellation_id"]

    def names(self, lang):
        """The holidays' names in each answer as data: a contact and a cancellation, in four ways."""
        contact, cancellation = f"/v1/contacts/{self.contact_id}", f"/v1/cancellations/{self.cancellation_id}"
        lists = [f"/v1/{listed}?order_id={self.order_id}" for listed in ("contacts", "cancellations")]
        records = [self.get(path, lang).json for path in (contact, cancellation)]
        records += [record for path in lists for record in self.get(path, lang).json["items"]]
        printed = json.loads(self.place.run("evidence", self.order_id, "--lang", lang)[0])
        for evidence in (self.get(f"/v1/orders/{self.order_id}/evidence", lang).json, printed):
            records += evidence["contacts"] + evidence["cancellations"]
        assert len(records) == 8
        return [named(record["decision"]) for record in records]

    def pages(self, lang):
        """The evidence as a page: over HTTP, in the console and on the command line."""
        return [
            self.get(f"/v1/orders/{self.order_id}/evidence", lang, "text/html").text,
            self.browser(lang).get(f"/console/orders/{self.order_id}/evidence").text,
            self.place.run("evidence", self.order_id, "--page", "--lang", lang)[0],
        ]

    def get(self, path, lang, form="application/json"):
        """The response of the API in a language."""
        answer = self.desk.client.get(path, headers={"Accept-Language": lang, "Accept": form})
        assert answer.status_code == 200
        return answer

    def browser(self, lang):
        """The browser of a supervisor who reads a language."""
        with self.place.store.write(COMMAND_LINE) as uow:
            user = users.add(uow, f"supervisor-{next(_numbers)}", Role.SUPERVISOR).user
        return signed_in(self.place.app, user, lang)

    def stored(self):
        """The stored decisions by the id of their record, as plain data."""
        with self.place.store.read(COMMAND_LINE) as uow:
            rows = [*uow.contacts.decisions(), *uow.cancellations.decisions()]
        return {row["record_id"]: orjson.loads(row["decision"]) for row in rows}


@pytest.fixture
def shown(engine, tmp_path, now):  # noqa: F811
    """A separate installation with a cancelled order."""
    place = Place(tmp_path, engine)
    yield Shown(place)
    place.store.close()


def named(decision):
    """The holidays' names in a decision, by day."""
    return [day.get("name") for day in decision["days"] if day.get("why") == "public_holiday"]


def say(monkeypatch, holiday_name):
    """Let the holiday data say something else from now on."""
    for module in ("domain.judging", "presentation.texts.decisions"):
        monkeypatch.setattr(f"refunds.{module}.holiday_name", holiday_name)
    decisions._cached_parts.cache_clear()  # as in the process that starts with the new data


@pytest.mark.parametrize("later", LATER)
def test_a_stored_decision_names_a_holiday_as_it_was_named_when_recorded(shown, monkeypatch, later):
    before = {lang: shown.pages(lang)[0] for lang in LANGUAGES}
    say(monkeypatch, LATER[later])
    for lang in LANGUAGES:
        assert shown.names(lang) == [NAMES[lang]] * 8
        pages = shown.pages(lang)
        assert pages[0] == before[lang]
        for page in pages:
            assert [name in page for name in (*NAMES[lang], OTHER)] == [True, True, False]


def test_a_decision_is_stored_with_the_names_in_every_language(shown):
    assert [decision["outcome"]["names"] for decision in shown.stored().values()] == [
        {
            FRIDAY: {"en": ["Good Friday", "en"], "de": ["Karfreitag", "de"]},
            MONDAY: {"en": ["Easter Monday", "en"], "de": ["Ostermontag", "de"]},
        }
    ] * 2


@pytest.mark.parametrize("provided_at", ["2026-04-07T10:00:00+02:00", None])
def test_a_decision_without_holidays_is_stored_without_names(shown, provided_at):
    contact = shown.desk.record(shown.desk.register(service_provided_at=provided_at)).json
    assert "names" not in shown.stored()[contact["contact_id"]]["outcome"]


def test_a_decision_that_was_stored_without_names_shows_those_of_the_data(shown, monkeypatch):
    stored = shown.stored()
    for table, key in (("contacts", shown.contact_id), ("cancellations", shown.cancellation_id)):
        del stored[key]["outcome"]["names"]
        text = orjson.dumps(stored[key]).decode()
        shown.place.tamper(f"UPDATE {table} SET decision = :text WHERE {table[:-1]}_id = :key", text=text, key=key)  # noqa: S608
    for lang in LANGUAGES:
        assert shown.names(lang) == [NAMES[lang]] * 8
    say(monkeypatch, LATER["another name"])
    assert shown.names("de") == [[OTHER] * 2] * 8
    assert all(OTHER in page for page in shown.pages("de"))


@pytest.mark.parametrize("later", LATER)
def test_a_replay_finds_no_difference_in_names(shown, monkeypatch, later):
    say(monkeypatch, LATER[later])
    assert shown.place.succeed("audit", "replay") == "Replayed: 2 decisions, 0 differences.\n"


def test_a_replay_of_a_kept_promise_finds_no_difference_in_names(shown):
    order_id = shown.desk.register()
    with other_holidays("99.0", lost=[(EVERYWHERE, date.fromisoformat(day)) for day in (FRIDAY, MONDAY)]):
        kept = shown.desk.cancelled(order_id)["decision"]
        assert (named(kept), "promise_kept" in kept["notices"]) == (NAMES["en"], True)
        replayed, *_ = shown.place.run("audit", "replay")
    assert "4 decisions, 2 differences" in replayed, replayed
    assert shown.order_id in replayed, "its decisions were made with the holidays"
    assert order_id not in replayed


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_answer_goes_by_the_names_of_its_outcome(shown, monkeypatch, lang):
    """Also one that is not recorded: the answer of the API, of the command, of the console and for the customer."""
    elsewhere = {date.fromisoformat(FRIDAY): {"en": ("A Friday", "en"), "de": ("Ein Freitag", "de")}}
    plain = Decision.outcome.fget
    monkeypatch.setattr(Decision, "outcome", property(lambda self: plain(self)._replace(names=elsewhere)))
    expected = [elsewhere[date.fromisoformat(FRIDAY)][lang][0], NAMES[lang][1]]
    body = {"service_provided_at": PROVIDED, "requested_at": IN_TIME, "region": "DE-BY"}
    checked = shown.desk.client.post("/v1/eligibility-checks", json=body, headers={"Accept-Language": lang})
    assert named(checked.json) == expected
    order_id = shown.desk.register()
    page = shown.browser(lang).get(f"/console/orders/{order_id}")
    days = page.main.one("ol", class_="strip").text
    (words,) = (each.text for each in page.main.every("section", class_="words") if each["lang"] == lang)
    printed = shown.place.succeed("check", "--provided", PROVIDED, "--region", "DE-BY", "--lang", lang)
    for text in (days, words, printed):
        assert [name in text for name in (*expected, NAMES[lang][0])] == [True, True, False]


def test_a_name_that_was_kept_only_in_another_language_is_shown_in_it(shown, monkeypatch):
    stored = shown.stored()[shown.contact_id]
    for names in stored["outcome"]["names"].values():
        del names["de"]
    shown.place.tamper("UPDATE contacts SET decision = :text", text=orjson.dumps(stored).decode())
    say(monkeypatch, LATER["another name"])
    days = shown.get(f"/v1/contacts/{shown.contact_id}", "de").json["decision"]["days"]
    assert [(day["name"], day["name_language"]) for day in days if "name" in day] == [
        ("Good Friday", "en"),
        ("Easter Monday", "en"),
    ]

"""Evidence, replays, sheets of deadlines and demonstration orders on the command line."""

import importlib
import json
import os
import re
from contextlib import closing
from datetime import date, timedelta
from itertools import count
from unittest import mock

import pytest

import app
from refunds.domain.holidays_data import decreed_until
from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.service.deadlines import MOST_DAYS
from refunds.storage import events, open_engine
from tests import records_in
from tests.api.conftest import IN_TIME, LATE, PROVIDED, Desk, now  # noqa: F401 - a fixture
from tests.api.test_contract import validator
from tests.conftest import client_of, with_policies

HOSTILE = "<script>alert(1)</script> \u202egnp"
_numbers = count(1)


class Place:
    """An installation and its command line."""

    def __init__(self, directory, engine, policy="virtual-numbers"):
        environment = records_in(directory, engine) | {"REFUNDS_POLICY": policy}
        with mock.patch.dict(os.environ, environment):
            importlib.reload(app)
        self.app = app.app
        self.store = self.app.extensions["refunds.store"]
        self.run("init")  # unless there is one already: commands that only read make none

    def desk(self, role="admin"):
        """The desk of a role."""
        return Desk(client_of(self.app, role), None)

    def run(self, *arguments):
        """The output, the error output and the exit code of a command."""
        result = self.app.test_cli_runner().invoke(args=list(map(str, arguments)))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        errors = [line for line in result.stderr.splitlines() if "master.key" not in line]
        return result.stdout, "\n".join(errors), result.exit_code

    def succeed(self, *arguments):
        """The output of a command that must succeed."""
        out, errors, code = self.run(*arguments)
        assert code == 0, errors
        return out

    def position(self):
        """The length of the journal."""
        with self.store.read(COMMAND_LINE) as uow:
            return events.head(uow.tx).position

    def tamper(self, sql, **given):
        """Change rows behind the service's back."""
        engine, _ = self.store.open()
        with engine.write() as tx:
            assert tx.run(sql, **given) >= 1

    def deadlines(self, *arguments):
        """The rows of a sheet: service days with their last days."""
        lines = self.succeed("deadlines", *arguments).splitlines()
        rows = [re.split(r"  +", line.strip()) for line in lines]
        heading = next(i for i, row in enumerate(rows) if row[0] in {"Service provided", "Leistung erbracht"})
        return {row[0]: row[1:] for row in rows[heading:]}


@pytest.fixture
def place(engine, tmp_path, now):  # noqa: F811
    """A separate installation."""
    place = Place(tmp_path, engine)
    yield place
    place.store.close()


@pytest.fixture(scope="module")
def shared(engine, tmp_path_factory):
    """An installation for tests that only change their own policy."""
    place = Place(tmp_path_factory.mktemp("shared"), engine)
    yield place
    place.store.close()


@pytest.fixture
def brand(shared, now):  # noqa: F811
    """A function that creates a new policy from the dates and terms of its versions."""

    def begin(*versions):
        name = f"brand-{next(_numbers)}"
        for number, (at, terms) in enumerate(versions, 1):
            since = f"effective_from = {at}\n" if at else ""
            with_policies(shared.app, f'policy = "{name}"\nversion = {number}\n{since}{terms}\n')
        return name

    return begin


# Evidence.


def test_the_evidence_is_the_same_as_over_http_for_an_auditor(place):
    desk, auditor = place.desk(), client_of(place.app, "auditor")
    order_id = desk.register()
    desk.record(order_id, note=HOSTILE)
    desk.cancelled(order_id)
    place.store.checkpoint()
    for lang in ("en", "de"):
        found = json.loads(place.succeed("evidence", order_id, "--lang", lang))
        validator("Evidence").validate(found)
        assert found == auditor.get(f"/v1/orders/{order_id}/evidence?lang={lang}").json
        page = place.succeed("evidence", order_id, "--page", "--lang", lang)
        response = auditor.get(f"/v1/orders/{order_id}/evidence?lang={lang}", headers={"Accept": "text/html"}).text
        assert page.rstrip() == response.rstrip()
        assert "alert(1)" not in page + str(found)
    assert found["proof"]["sound"]
    assert {event["anchor"]["position"] for event in found["journal"]} == {place.position()}


def test_the_evidence_reports_tampering(place):
    order_id = place.desk().register()
    place.tamper("UPDATE orders SET region = 'DE-BE'")
    found = {}
    for lang in ("en", "de"):
        out, errors, code = place.run("evidence", order_id, "--lang", lang)
        assert (code, errors) == (20, "")
        found[lang] = json.loads(out)["proof"]["broken"]
    assert found["en"][0] == f"orders {order_id}: differs from the journal"
    assert found["de"][0] == f"orders {order_id}: weicht vom Journal ab"
    assert [line.partition(":")[0] for line in found["de"]] == [line.partition(":")[0] for line in found["en"]]
    assert not {line.partition(": ")[2] for line in found["de"]} & {line.partition(": ")[2] for line in found["en"]}
    out, _, code = place.run("evidence", order_id, "--page")
    assert (code, "The records are not what was written" in out) == (20, True)


def test_there_is_no_evidence_on_an_unknown_order(shared):
    out, errors, code = shared.run("evidence", "nobodys")
    assert (out, code, "there is no order of this id" in errors) == ("", 3, True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "es gibt keine Bestellung"),
        ({"REFUNDS_DATABASE": "sqlite:////nowhere/refunds.db"}, "gibt es nicht. Setzen Sie REFUNDS_DATABASE"),
        ({"REFUNDS_DATABASE": "postgresql://a@b@c/d"}, "REFUNDS_DATABASE: ist keine PostgreSQL-URL"),
        ({"REFUNDS_MASTER_KEY_FILE": "/nowhere/key", "REFUNDS_ENV": "production"}, "/nowhere/key gibt es nicht."),
    ],
)
def test_an_error_is_in_the_language_of_the_command(shared, tmp_path, wrong, said):
    with mock.patch.dict(os.environ, records_in(tmp_path) | wrong):
        importlib.reload(app)
    commands = app.app if wrong else shared.app
    for command in (["evidence", "nobodys"], ["audit", "verify"])[: 2 if wrong else 1]:
        german = commands.test_cli_runner().invoke(args=[*command, "--lang", "de"])
        english = commands.test_cli_runner().invoke(args=command)
        assert (german.exit_code, said in german.stderr) == (english.exit_code, True)
        assert not set(german.stderr.splitlines()) & set(english.stderr.splitlines())


# Acceptance.


@pytest.mark.parametrize("there", [False, True])
def test_there_is_nothing_to_accept_in_a_database_without_records(engine, tmp_path, there):
    """Not in development either, where a start would make a new journal: the right name is what is missing."""
    environment = records_in(tmp_path, engine)
    if there and engine == "sqlite":
        (tmp_path / "data").mkdir()
        (tmp_path / "data/refunds.db").touch()
    with mock.patch.dict(os.environ, environment):
        importlib.reload(app)
    before = sorted(tmp_path.rglob("*"))
    result = app.app.test_cli_runner().invoke(args=["audit", "accept", "--reason", "a slip"])
    assert (result.exit_code, result.stdout) == (4, "")
    assert re.search("right (one|database)", result.stderr)
    assert sorted(tmp_path.rglob("*")) == before
    if engine == "postgresql":
        with closing(open_engine(environment["REFUNDS_DATABASE"])) as opened, opened.read() as tx:
            assert tx.one("SELECT count(*) AS tables FROM pg_tables WHERE schemaname = 'public'")["tables"] == 0


# Replays.


@pytest.fixture
def decided(place, now):  # noqa: F811
    """An installation with decisions of every kind, with closures and two versions; and the order of the late request."""
    desk = place.desk()
    place.succeed("policy", "close", "2026-04-07")
    now.shift(timedelta(minutes=1))
    for facts in ({}, {"service_provided_at": None}, {"region": None}, {"service_provided_at": "2026-04-02T10:00:00Z"}):
        desk.cancelled(desk.register(**facts))
    late = desk.register()
    now.move_to("2026-04-10T09:00:00Z")
    desk.record(late)
    desk.record(desk.register(), received_at=IN_TIME, ticket_ref="T-1", note="late entry")
    draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 5, "time_zone": "Asia/Tokyo"}}
    assert desk.client.post("/v1/policies/virtual-numbers/versions", json=draft).status_code == 201
    place.succeed("policy", "close", "2026-04-13")
    now.shift(timedelta(days=1))
    desk.cancelled(desk.register(service_provided_at="2026-04-10T10:00:00Z"))
    place.succeed("policy", "close", "2026-04-14")
    place.succeed("policy", "close", "2026-04-08")
    return place, late


def test_a_replay_makes_every_decision_again_from_its_own_facts(decided):
    """Regardless of later versions and closures."""
    place, _ = decided
    assert place.succeed("audit", "replay") == "Replayed: 12 decisions, 0 differences.\n"


@pytest.mark.parametrize(
    ("region", "terms"),
    [
        ("DE-BY", {"follow_order_region": False}),
        ("DE-BY", {"follow_order_region": False, "region": "FR", "time_zone": "Asia/Tokyo"}),
        (None, {"region": "US", "window_business_days": 1}),
        (None, {"region": "DE-HH", "window_business_days": 1}),
    ],
)
def test_a_promise_is_kept_by_its_region_and_replayed_by_that_of_the_version(place, now, region, terms):  # noqa: F811
    """These may differ: the promise was told before the version was published. The day after is Corpus Christi."""
    desk = Desk(client_of(place.app, "admin"), now)
    order_id = desk.register(service_provided_at="2026-06-03T10:00:00+02:00", region=region)
    draft = {"version": 2, "effective_from": None, "terms": terms}
    assert desk.client.post("/v1/policies/virtual-numbers/versions", json=draft).status_code == 201
    now.move_to("2026-06-05T10:00:00+02:00")
    kept = desk.cancelled(order_id)["decision"]
    assert ("promise_kept" in kept["notices"], kept["calendar"]["region"]) == (True, region or "DE")
    assert "nationwide_holidays_only" not in kept["notices"], "they are not those of the version's region"
    assert place.succeed("audit", "replay") == "Replayed: 2 decisions, 0 differences.\n"


def test_a_replay_reports_a_decision_that_differs(decided):
    place, late = decided
    place.tamper(
        "UPDATE contacts SET decision = replace(decision, '\"window_elapsed\"', '\"within_window\"')"
        " WHERE order_id = :order",
        order=late,
    )
    out, _, code = place.run("audit", "replay")
    assert code == 22
    line, last = out.splitlines()
    assert re.fullmatch(rf"{late} con_\w+: reason within_window, now window_elapsed", line)
    assert last == "Replayed: 12 decisions, 1 differences."


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        (
            '["2026-04-02",2,"2026-04-09"]',
            '["2026-04-02",2,"2026-04-08"]',
            "window 2026-04-02 to 2026-04-08, now 2026-04-02 to 2026-04-09",
        ),
        ('"2026-04-09T22:00:00Z"', '"2026-04-08T22:00:00Z"', "deadline 2026-04-08T22:00:00Z, now 2026-04-09T22:00:00Z"),
        ('"policy":"virtual-numbers"', '"policy":"long-gone"', "cannot be made again: there is no such policy"),
        ('"version":1', '"version":7', "cannot be made again: "),
        ('"region":"DE-BY"', '"region":"XX-BY"', "cannot be made again: "),
    ],
)
def test_a_replay_describes_each_difference_in_one_line(decided, written, instead, message):
    place, late = decided
    place.tamper(
        "UPDATE contacts SET decision = replace(decision, :written, :instead) WHERE order_id = :order",
        written=written,
        instead=instead,
        order=late,
    )
    out, _, code = place.run("audit", "replay")
    assert (code, message in out.splitlines()[0], len(out.splitlines())) == (22, True, 2), out


def test_a_replay_only_counts_older_data_that_makes_no_difference(decided):
    place, late = decided
    with place.store.read(COMMAND_LINE) as uow:
        (row,) = uow.tx.all("SELECT decision FROM contacts WHERE order_id = :order", order=late)
    data = json.loads(row["decision"])["outcome"]["holidays_version"]
    place.tamper(
        "UPDATE contacts SET decision = replace(decision, :written, :instead) WHERE order_id = :order",
        written=f'"holidays_version":"{data}"',
        instead='"holidays_version":"0.1"',
        order=late,
    )
    assert place.succeed("audit", "replay").splitlines() == [
        "Replayed: 12 decisions, 0 differences.",
        "Made with another holidays_version than today's: 1 decisions.",
    ]


def test_a_replay_without_decisions_succeeds(place):
    assert place.succeed("audit", "replay") == "Replayed: 0 decisions, 0 differences.\n"


# Deadlines.


def text(day):
    """A date as on the sheet."""
    return f"{day:%a} {day.day} {day:%b}"


def test_the_sheet_lists_the_deadlines_of_a_week_by_service_day(brand, shared):
    """From the first service day whose window had not ended before Monday, to Sunday."""
    rows = shared.deadlines("--policy", brand(("", "")), "--region", "DE-BY")
    assert rows == {
        "Service provided": ["Bayern"],
        "Wed 1 Apr": ["Tue 7 Apr"],
        "Thu 2 Apr": ["Wed 8 Apr"],
        "Fri 3 Apr": ["Wed 8 Apr"],
        "Sat 4 Apr": ["Wed 8 Apr"],
        "Sun 5 Apr": ["Wed 8 Apr"],
        "Mon 6 Apr": ["Wed 8 Apr"],
        "Tue 7 Apr": ["Thu 9 Apr"],
        "Wed 8 Apr": ["Fri 10 Apr"],
        "Thu 9 Apr": ["Mon 13 Apr"],
        "Fri 10 Apr": ["Tue 14 Apr"],
        "Sat 11 Apr": ["Tue 14 Apr"],
        "Sun 12 Apr": ["Tue 14 Apr"],
    }


def test_any_date_of_a_week_selects_it(brand, shared):
    name = brand(("", ""))
    weeks = [shared.deadlines("--policy", name, "--week", f"2026-04-{day:02}") for day in (13, 15, 19, 20)]
    assert weeks[0] == weeks[1] == weeks[2] != weeks[3]
    assert shared.deadlines("--policy", name) == shared.deadlines("--policy", name, "--week", "2026-04-06")


def test_a_sheet_says_which_last_days_are_provisional(brand, shared):
    name, until = brand(("", "")), decreed_until("CN")
    asked = ("deadlines", "--policy", name, "--region", "CN", "--region", "DE-BY", "--week")
    assert "provisional" not in shared.succeed(*asked, f"{until}-06-01")
    said = (
        "China: last days from Tuesday, 29 December 2026 on are provisional, because the holidays and working weekends"
    )
    for form in ([], ["--print"]):
        assert said.replace("2026", str(until)) in " ".join(shared.succeed(*asked, f"{until}-12-28", *form).split())
    german = " ".join(shared.succeed(*asked, f"{until}-12-28", "--lang", "de").split())
    assert "vorläufig" in german


def test_regions_with_the_same_deadlines_share_a_column(brand, shared):
    """18 November, the Day of Repentance and Prayer, is a holiday only in Saxony."""
    name = brand(("", ""))
    rows = shared.deadlines("--policy", name, "--week", "2026-11-18")
    assert rows["Service provided"] == ["most regions", "Sachsen"]
    assert rows["Mon 16 Nov"] == ["Wed 18 Nov", "Thu 19 Nov"]
    assert shared.deadlines("--policy", name, "--week", "2026-03-11")["Service provided"] == ["everywhere"]
    german = shared.deadlines("--policy", name, "--week", "2026-11-18", "--lang", "de")
    assert german["Leistung erbracht"] == ["die meisten Regionen", "Sachsen"]
    assert german["Mo. 16. Nov."] == ["Mi. 18. Nov.", "Do. 19. Nov."]
    two = shared.deadlines("--policy", name, "--week", "2026-11-18", "--region", "DE-SN", "--region", "DE-BY")
    assert two["Service provided"] == ["Sachsen", "Bayern"]


def test_a_version_that_begins_during_a_day_has_a_separate_row(brand, shared):
    name = brand(("", ""), ("2026-04-15T14:30:00+02:00", "window_business_days = 3"))
    rows = shared.deadlines("--policy", name, "--week", "2026-04-15", "--region", "DE")
    days = list(rows)
    assert rows["Wed 15 Apr, until 14:30"] == ["Fri 17 Apr"]
    later = days[days.index("Wed 15 Apr, until 14:30") + 1]
    assert ("15 Apr" in later, "14:30" in later, rows[later]) == (True, True, ["Mon 20 Apr"])
    assert rows["Thu 16 Apr"] == ["Tue 21 Apr"]
    assert "14:30" in shared.succeed("deadlines", "--policy", name, "--week", "2026-04-15", "--lang", "de")


def test_a_version_that_begins_at_midnight_applies_to_the_whole_day(brand, shared):
    name = brand(("", ""), ("2026-04-15T00:00:00+02:00", "window_business_days = 3"))
    rows = shared.deadlines("--policy", name, "--week", "2026-04-15", "--region", "DE")
    assert [rows["Tue 14 Apr"], rows["Wed 15 Apr"]] == [["Thu 16 Apr"], ["Mon 20 Apr"]]
    assert not [day for day in rows if ":" in day]


def test_a_withdrawn_version_has_no_row(brand, shared):
    name = brand(("", ""), ("2026-04-15T14:30:00+02:00", "window_business_days = 3"))
    shared.succeed("policy", "withdraw", name, 2)
    rows = shared.deadlines("--policy", name, "--week", "2026-04-15", "--region", "DE")
    assert rows["Thu 16 Apr"] == ["Mon 20 Apr"]
    assert not [day for day in rows if "14:30" in day]


@pytest.mark.parametrize("length", [30, 366])
def test_for_long_windows_the_sheet_lists_the_latest_service_days_and_a_note(brand, shared, length):
    name = brand(("", f"window_business_days = {length}"))
    rows = shared.deadlines("--policy", name, "--region", "DE")
    days = [date(2026, 4, 12) - timedelta(days=n) for n in range(MOST_DAYS)]
    *listed, note = list(rows)[1:]
    assert (listed, "may still run" in note) == ([text(day) for day in reversed(days)], True)
    page = shared.succeed("deadlines", "--policy", name, "--region", "DE", "--print")
    assert "the window may still run" in page
    short = shared.succeed("deadlines", "--policy", brand(("", "")), "--region", "DE", "--print")
    assert "the window may still run" not in short


def test_the_sheet_includes_windows_of_an_earlier_and_longer_version(brand, shared):
    """Even though later services had shorter windows, which have ended."""
    name = brand(("", "window_business_days = 30"), ("2026-03-25T00:00:00+01:00", ""))
    rows = shared.deadlines("--policy", name, "--region", "DE")
    assert rows["Tue 24 Mar"] == ["Fri 8 May"]
    assert "Wed 25 Mar" not in rows
    assert "may still run" in list(rows)[-1]


def test_the_sheet_says_if_the_time_of_the_order_decides(brand, shared):
    name = brand(("", ""), ("2026-04-07T00:00:00+02:00", 'window_business_days = 5\njudged_by = "ordered"'))
    note = "Orders placed before Tuesday, 7 April 2026, 00:00 (Berlin time) are judged by an earlier version"
    assert note in shared.succeed("deadlines", "--policy", name, "--region", "DE")
    assert note in shared.succeed("deadlines", "--policy", name, "--region", "DE", "--print")
    assert "judged by an earlier" not in shared.succeed("deadlines", "--policy", brand(("", "")), "--region", "DE")


def test_the_sheet_applies_closures_to_windows_that_had_not_ended(brand, shared, now):  # noqa: F811
    name = brand(("", ""))
    now.move_to("2026-04-08T09:00:00Z")
    shared.succeed("policy", "close", "2026-04-07", "--policy", name)
    rows = shared.deadlines("--policy", name, "--region", "DE")
    assert (rows["Wed 1 Apr"], rows["Thu 2 Apr"]) == (["Tue 7 Apr"], ["Thu 9 Apr"])


def test_the_sheet_agrees_with_checks(brand, shared, now):  # noqa: F811
    """For every day and several regions, with two versions, both kinds of closures and a six-day week."""
    six = 'business_week = ["mon", "tue", "wed", "thu", "fri", "sat"]\nend_week = ["mon", "tue", "wed", "thu", "fri"]'
    name = brand(("", ""), ("2026-04-09T10:00:00Z", f"{six}\nclosures = [2026-04-13]"))
    shared.succeed("policy", "close", "2026-04-08", "--policy", name)
    desk = shared.desk()
    for region in ("DE", "DE-BY", "DE-SN"):
        rows = shared.deadlines("--policy", name, "--region", region, "--week", "2026-04-08")
        days = [date(2026, 4, 1) + timedelta(days=n) for n in range(12)]
        for day in days:
            hour = {"Thu 9 Apr": "00:00:00+02:00"}.get(text(day), "23:59:59+02:00")
            body = {
                "policy": name,
                "region": region,
                "service_provided_at": f"{day}T{hour}",
                "requested_at": f"{day}T{hour}",
            }
            answer = desk.client.post("/v1/eligibility-checks", json=body).json
            row = {"Thu 9 Apr": "Thu 9 Apr, until 12:00"}.get(text(day), text(day))
            assert rows[row] == [text(date.fromisoformat(answer["window"]["last_day"]))], (region, day)


@pytest.mark.parametrize("lang", ["en", "de"])
def test_the_sheet_can_be_printed_as_a_page(brand, shared, lang):
    name = brand(
        (
            "",
            f'vendor_name = "{HOSTILE[:25]}"\n[phone]\npoints = ["+493012345678"]\n[email]\npoints = ["help@example.com"]',
        )
    )
    page = shared.succeed("deadlines", "--policy", name, "--print", "--lang", lang).replace("\u00a0", " ")
    assert f'<html lang="{lang}">' in page
    assert re.findall(r"(?i)https?://|<script|\bsrc=|\bhref=|@import|url\(", page) == []
    wanted = {
        "en": ["Monday, 6 April 2026", "Sunday, 12 April 2026", "Wed 8 Apr", "Fri 10 Apr", "While the service is down"],
        "de": [
            "Montag, 6. April 2026",
            "Sonntag, 12. April 2026",
            "Mi. 8. Apr.",
            "Fr. 10. Apr.",
            "Wenn der Dienst ausfällt",
        ],
    }[lang]
    assert [
        words for words in [*wanted, "+493012345678", "help@example.com", "&lt;script&gt;"] if words not in page
    ] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--week", "2026-4-8"), "week: not a date"),
        (("--week", "now"), "week: not a date"),
        (("--region", "XX"), "region: unknown country"),
        (("--region", "DE-XX"), "region: "),
        (("--region", "Bavaria"), "region: unknown country"),
        (("--policy", "nobodys"), "there is no such policy"),
        (("--week", "1950-01-01"), "week: must not be more than five years away"),
        (("--week", "9999-12-31"), "week: must not be more than five years away"),
    ],
)
def test_an_invalid_request_for_a_sheet_is_reported(shared, now, arguments, message):  # noqa: F811
    out, errors, code = shared.run("deadlines", *arguments)
    assert (out, code, message in errors) == ("", 3, True), errors


# Demonstration orders.


def test_demonstration_orders_are_marked_and_cover_every_state(place):
    out = place.succeed("demo")
    desk = place.desk()
    ids = re.findall(r"^DEMO-20260408-\d\b", out, re.MULTILINE)
    assert len(ids) == len(set(ids)) == 5
    found = []
    for order_id in ids:
        order = desk.get(f"/v1/orders/{order_id}").json
        assert order["customer_ref"].startswith("DEMO-")
        provided = order["service_provided_at"]
        assert provided is None or parse_instant(provided) < parse_instant(IN_TIME)
        decision = desk.get(f"/v1/orders/{order_id}/eligibility").json
        found.append((decision["reason"], decision["window"] and decision["window"]["business_days_left"]))
    assert found == [
        ("within_window", 1),
        ("within_window", 0),
        ("window_elapsed", None),
        ("window_elapsed", None),
        ("service_not_yet_provided", None),
    ]
    assert desk.get("/v1/contacts").json["items"] == []


def test_demonstration_orders_are_registered_once_a_day(place, now):  # noqa: F811
    first = place.succeed("demo")
    before = place.position()
    now.move_to("2026-04-08T21:59:00Z")
    assert place.succeed("demo") == first
    assert place.position() == before
    place.succeed("policy", "close", "2026-04-07")
    assert place.succeed("demo") == first, "later changes do not matter"
    now.move_to(LATE)
    assert "DEMO-20260409-1" in place.succeed("demo")
    assert place.position() > before


def test_production_creates_no_demonstration_orders(engine, tmp_path, now):  # noqa: F811
    development = Place(tmp_path, engine)
    before = development.position()
    with mock.patch.dict(os.environ, {"REFUNDS_ENV": "production"}):
        place = Place(tmp_path, engine)
    out, errors, code = place.run("demo")
    assert (out, code, "REFUNDS_ENV" in errors) == ("", 4, True)
    assert place.position() == before
    for each in (development, place):
        each.store.close()


def test_demonstration_orders_follow_the_configured_policy(engine, tmp_path, now):  # noqa: F811
    """Long windows in a distant time zone; real orders are not changed."""
    place = Place(tmp_path, engine, "kiritimati")
    with_policies(
        place.app, 'policy = "kiritimati"\nversion = 1\nwindow_business_days = 20\ntime_zone = "Pacific/Kiritimati"\n'
    )
    order_id = place.desk().register(service_provided_at=PROVIDED)
    out = place.succeed("demo")
    reasons = [
        place.desk().get(f"/v1/orders/{demo}/eligibility").json["reason"]
        for demo in re.findall(r"DEMO-20260409-\d", out)
    ]
    assert reasons == ["within_window"] * 2 + ["window_elapsed"] * 2 + ["service_not_yet_provided"]
    assert place.desk().get(f"/v1/orders/{order_id}").json["revision"] == 1
    place.store.close()

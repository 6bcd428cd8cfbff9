"""`flask calendar`: what other holiday data changes, and who was told before."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import holidays
import pytest

from refunds.cli import Commands
from refunds.cli.serve import _print_watched
from refunds.domain.contact_points import Channel
from refunds.domain.holidays_data import business_calendar
from refunds.domain.instants import end_of_day, format_local, local_date, zone
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.region_days import WEEKDAYS
from refunds.service import calendars, contacts, orders, watch
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.web import create_app
from tests.changed_data import other_holidays
from tests.conftest import client_of, settings
from tests.faults.harness import Installation

ADMIN = Principal("cli_admin", "admin of the test", Role.ADMIN)
BERLIN = zone("Europe/Berlin")
NOW = datetime.now(UTC)
CALENDAR = business_calendar("DE-BY", WEEKDAYS[:5])
FIRST, LAST, NEXT = (CALENDAR.nth_business_day_after(local_date(NOW, BERLIN), number) for number in (1, 2, 3))
"""The two business days of a window that begins now, and the one after it."""

EARLIER, TOLD, LATER = (format_local(end_of_day(day, BERLIN), BERLIN) for day in (FIRST, LAST, NEXT))
GAINED = ("DE-BY", FIRST)


def filled(store):
    """Watch, and register an order in Bavaria whose service is provided now, with a call about it; the call's id."""
    watch.watch(store)
    with store.write(ADMIN) as uow:
        orders.register(uow, OrderFacts(order_id="A-1", customer_ref="K", service_provided_at=NOW, region="DE-BY"))
        return contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE, from_detail="+4989123456")).contact_id


@pytest.fixture
def app(engine, tmp_path):
    """The app, with the records of an order and a call about it."""
    app = create_app(settings(tmp_path))
    app.cli = Commands(app.name)
    yield app
    app.extensions["refunds.store"].close()


def run(app, *arguments):
    """What a command prints, line by line without layout; it must succeed."""
    result = app.test_cli_runner().invoke(args=["calendar", *arguments])
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_changes_are_listed_with_who_was_told_the_earlier_end(app):
    store = app.extensions["refunds.store"]
    call = filled(store)
    before = datetime.now(UTC)
    with other_holidays("9.1", added=[GAINED]):
        title, heading, row, *_ = waiting = run(app, "changes")[1:]
        assert (title, heading) == ("Not watched yet, and longer: 1", "order told now promised contacts")
        assert row.split()[:3] == ["A-1", TOLD, LATER]
        watch.watch(store)
        lines = run(app, "changes")
        assert lines[0] == "Lengthened by the last watch: 1"
        assert lines[2] == waiting[2]
        order, told, now, promised, contact, channel, received = lines[2].split()
        assert (order, told, now, contact, channel) == ("A-1", TOLD, LATER, call, "phone")
        assert NOW - timedelta(seconds=1) < datetime.fromisoformat(promised) < before
        assert datetime.fromisoformat(received) < before
        assert lines[3:5] == ["Not watched yet, and longer: 0", "Kept: 0"]
        assert lines[5].endswith("today's data: " + watch.data_now() + ".")
    lines = run(app, "changes")
    assert lines[4] == "Kept: 1"
    assert lines[6].split()[:3] == ["A-1", LATER, TOLD]
    with store.read(COMMAND_LINE) as uow:
        assert uow.promises.count() == 2


def test_the_measurements_have_the_windows_that_the_last_change_has_moved(app):
    store = app.extensions["refunds.store"]
    filled(store)
    assert 'refunds_open_windows{end="longer"} 0.0' in client_of(app, "operator").get("/metrics").text
    with other_holidays("9.1", added=[GAINED]):
        watch.watch(store)
    text = client_of(app, "operator").get("/metrics").text
    assert {'refunds_open_windows{end="longer"} 1.0', 'refunds_open_windows{end="kept"} 0.0'} <= set(text.splitlines())


def test_the_regions_in_use_are_those_that_policies_and_open_windows_are_counted_by(app):
    long_ago = NOW - timedelta(days=60)
    with app.extensions["refunds.store"].write(ADMIN) as uow:
        for order_id, region, provided in (
            ("A-1", "NL-NH", NOW),
            ("A-2", "CN", NOW),
            ("A-3", "FR", long_ago),
            ("A-4", None, NOW),
        ):
            facts = OrderFacts(order_id=order_id, customer_ref="K", service_provided_at=provided, region=region)
            orders.register(uow, facts)
    with app.extensions["refunds.store"].read(ADMIN) as uow:
        assert calendars.regions_in_use(uow) == {"CN", "DE", "NL"}


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_a_release_is_refused_with_what_to_do(app, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    place = tmp_path / folder
    result = app.test_cli_runner().invoke(args=["calendar", "compare", str(place)])
    assert result.exit_code == 2
    assert f"there is no release of holidays in {place}" in result.stderr
    assert f"python3 -m pip install --no-deps --target {place} holidays" in result.stderr


def unpacked(place, more):
    """A release like the installed one, numbered 9.1, with more code at its end, in a directory."""
    shutil.copytree(Path(holidays.__file__).parent, place / "holidays", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "holidays-9.1.dist-info").mkdir()
    (place / "holidays-9.1.dist-info/METADATA").write_text("Name: holidays\nVersion: 9.1\n")
    with (place / "holidays/__init__.py").open("a") as file:
        file.write(more)
    return place


def everything(directory):
    """The bytes of each file in a directory."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


ONE_MORE = f"""
genuine = country_holidays

def country_holidays(country, *arguments, **named):
    import datetime
    built = genuine(country, *arguments, **named)
    if country == "DE":
        built[datetime.date({FIRST.year}, {FIRST.month}, {FIRST.day})] = "Another"
    return built
"""


def test_a_release_is_compared_before_it_is_installed_and_nothing_is_stored(tmp_path):
    installation = Installation(tmp_path / "here")
    (tmp_path / "here").mkdir()
    with installation.store() as store:
        filled(store)
        with store.read(COMMAND_LINE) as uow:
            head = uow.events.head()
    place = unpacked(tmp_path / "there", ONE_MORE)
    before = everything(place)
    done = installation.flask("calendar", "compare", str(place))
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "Would end later: 1"
    assert lines[2] == f"A-1 {TOLD} {LATER}"
    assert lines[3] == "Would keep the later end that was told: 0"
    assert lines[4].startswith("Counted by holidays 9.1, tzdata ")
    assert everything(place) == before
    with installation.store() as store, store.read(COMMAND_LINE) as uow:
        assert uow.events.head() == head


def test_a_release_that_the_service_cannot_count_by_is_refused(tmp_path):
    """As those before the package said which years it covers."""
    (tmp_path / "here").mkdir()
    without = "\nfrom holidays.countries.germany import Germany\ndel Germany.start_year, HolidayBase.start_year\n"
    place = unpacked(tmp_path / "there", without)
    made = Installation(tmp_path / "here")
    made.flask("init")
    done = made.flask("calendar", "compare", str(place))
    assert (done.returncode, done.stdout) == (2, "")
    assert "this service cannot count by holidays 9.1" in done.stderr


def test_the_start_warns_if_the_data_is_older_than_that_of_the_records(app, capsys):
    store = app.extensions["refunds.store"]
    filled(store)
    with other_holidays("9.1", added=[GAINED]):
        newer = watch.watch(store).now
    _print_watched(watch.watch(store))
    printed = capsys.readouterr().out
    assert printed.startswith(f"Warning: this instance counts by {watch.data_now()}, and the records by {newer}")

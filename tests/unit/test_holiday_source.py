"""Calendars from the package: exact codes, covered years, names, threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import chain
from threading import Barrier

import holidays
import pytest

from refunds.domain import holidays_data
from refunds.domain.business_days import BusinessCalendar, SkipReason
from refunds.domain.holidays_data import business_calendar, holiday_name
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import place, subdivisions
from refunds.errors import CalendarNotCovered, UnknownRegion
from tests import scaled
from tests.changed_data import few_years
from tests.conftest import ROOT

WEEK = WEEKDAYS[:5]
ALL = holidays.list_supported_countries(include_aliases=False)


def forget():
    """Empty the caches, as in a new process."""
    holidays_data.business_calendar.cache_clear()
    for cached in (holidays_data._calendar, holidays_data._region_days, holidays_data._names, holidays_data._parts):
        cached.cache.clear()


def test_every_code_of_the_package_is_known_exactly():
    for country in ALL:
        assert place(country) == (country, None)
        for subdivision in subdivisions(country):
            assert place(f"{country}-{subdivision}") == (country, subdivision)


@pytest.mark.parametrize(
    "region",
    ["XX", "de", "DEU", "Germany", "GERMANY", "HolidayBase", "NYSE", "XNYS", "ECB", "UK", "DE-", "DE-by", "DE-Bavaria",
     "DE-XX", "DE-BY-", "DE_BY", "DE BY", " DE", "DE\n", "", "-", "-BY", "LU-XX", "__class__", "registry", "D\u0415"],
)  # fmt: skip
def test_an_alias_a_class_name_or_anything_else_is_unknown(region):
    with pytest.raises(UnknownRegion):
        place(region)


@pytest.mark.parametrize(
    ("region", "fix"),
    [("de", "as in DE or DE-BY"), ("Germany", "as in DE or DE-BY"), ("DE-Bayern", "DE-(BB|BE|"), ("DE-XX", "DE-(BB|BE|"), ("LU-XX", "use LU")],
)  # fmt: skip
def test_an_unknown_region_is_refused_with_the_fix(region, fix):
    with pytest.raises(UnknownRegion) as error:
        place(region)
    assert fix in error.value.errors[0].detail


@pytest.mark.parametrize(
    "region", ["DE-BY", "AE", "CN", "TW", "MY-01", "AU-NSW Western", "BR-São Paulo Capital", "LK", "US-CA"]
)
def test_the_calendar_agrees_with_the_package(region):
    """Every date of several years, with the statutory week, against the package's own answer."""
    country, subdivision = place(region)
    years = range(2010, 2027)
    theirs = holidays.country_holidays(country, subdiv=subdivision, years=years, language="en")
    ours = business_calendar(region, "country")
    for ordinal in range(date(2010, 1, 1).toordinal(), date(2026, 12, 31).toordinal() + 1):
        day = date.fromordinal(ordinal)
        assert (ours.why_not(day) is None) is theirs.is_working_day(day), day


@pytest.mark.parametrize("subdivision", [None, *ALL["DE"]])
def test_christmas_eve_and_new_years_eve_count_in_germany(subdivision):
    region = f"DE-{subdivision}" if subdivision else "DE"
    calendar = business_calendar(region, WEEK)
    assert calendar.why_not(date(2026, 12, 24)) is None
    assert calendar.why_not(date(2026, 12, 31)) is None


def test_assumption_day_counts_in_bavaria_and_not_in_the_saarland():
    assert business_calendar("DE-BY", WEEK).why_not(date(2025, 8, 15)) is None
    assert business_calendar("DE-SL", WEEK).why_not(date(2025, 8, 15)) is SkipReason.PUBLIC_HOLIDAY


@pytest.mark.parametrize(
    ("region", "first", "last"),
    [
        ("DE", 1991, 2100),
        ("LK", 2003, 2026),
        ("IN", 2001, 2035),
        ("NP", 2010, 2035),
        ("MU", 2001, 2035),
        ("ID", 1946, 2050),
    ],
)
def test_years_outside_the_data_are_refused(region, first, last):
    calendar = business_calendar(region, WEEK)
    assert date.fromordinal(calendar.region.last) == date(last, 12, 31)
    assert date.fromordinal(calendar.region.first) == date(max(first, getattr(holidays, region).start_year), 1, 1)
    with pytest.raises(CalendarNotCovered) as error:
        calendar.window(date(last, 12, 30), 5)
    assert error.value.last == date(last, 12, 31)


@pytest.mark.parametrize("region", sorted(holidays_data._COVERED))
@pytest.mark.filterwarnings("ignore:Requested Holidays")
def test_the_package_lacks_holidays_beyond_our_bounds(region):
    """Holidays are missing after the end of its lunar tables; if a release fixes that, our bound may move."""
    country, subdivision = place(region)
    end = holidays_data._COVERED[region][1]

    def names(years):
        found = holidays.country_holidays(country, subdiv=subdivision, years=years, language="en")
        return {name.removesuffix(" (observed)") for listed in found.values() for name in listed.split("; ")}

    assert names(range(end - 5, end + 1)) - names(range(end + 1, end + 40))


@pytest.mark.parametrize(
    ("region", "day", "language", "named"),
    [
        ("DE-BY", date(2026, 4, 3), "de", ("Karfreitag", "de")),
        ("DE-BY", date(2026, 4, 3), "en", ("Good Friday", "en")),
        ("FR", date(2026, 7, 14), "de", ("National Day", "en")),
        ("AT", date(2026, 10, 26), "de", ("Nationalfeiertag", "de")),
        ("NZ", date(2026, 12, 25), "de", ("Christmas Day", "en")),
        ("NL", date(2026, 4, 3), "de", ("Karfreitag", "de")),
        ("NL-NH", date(2026, 5, 5), "de", ("Tag der Befreiung", "de")),
        ("NL", date(2026, 4, 3), "en", ("Good Friday", "en")),
        ("FI", date(2026, 6, 19), "de", ("Mittsommerabend", "de")),
        ("SE", date(2026, 12, 31), "de", ("Silvester", "de")),
        ("DE-BY", date(2026, 4, 7), "de", None),
    ],
)
def test_a_holiday_is_named_in_the_readers_language_if_the_package_can(region, day, language, named):
    assert holiday_name(region, day, language) == named


def test_names_do_not_depend_on_the_locale_of_the_server():
    code = "import datetime, refunds.domain.holidays_data as h; print(h.holiday_name('DE-BY', datetime.date(2026, 4, 3), 'en'))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"LANGUAGE": locale, "LANG": locale}, text=True, capture_output=True, check=True
        ).stdout
        for locale in ("de", "th", "uk", "C")
    }  # fmt: skip
    assert printed == {"('Good Friday', 'en')\n"}


def concurrently(make):
    """The results of 8 threads that ask for many calendars at once."""
    start = Barrier(8)

    def ask(i):
        start.wait()
        return [make(region)[i % 2 :] for region in REGIONS]

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(8)))


REGIONS = ["DE-BY", "AE", "CN", "US-CA", "IL", "GB-SCT", "BR", "TW"]
DAYS = [date(2020 + i % 7, 1 + i % 12, 1 + i % 28) for i in range(500)]


@pytest.fixture
def _few_years():
    """Calendars that are built fast: those of a few years."""
    with few_years(range(2019, 2029)):
        yield


@pytest.mark.usefixtures("_few_years")
def test_8_threads_that_ask_with_empty_caches_get_correct_answers():
    truth = {region: [business_calendar(region, WEEK).window(day, 3).last_day for day in DAYS] for region in REGIONS}
    for _ in range(5):
        forget()
        answers = concurrently(lambda region: [business_calendar(region, WEEK).window(day, 3).last_day for day in DAYS])
        for i, answer in enumerate(answers):
            assert answer == [truth[region][i % 2 :] for region in REGIONS]


def test_control_a_shared_lazy_object_gives_wrong_answers_or_breaks():
    """The same question to a lazily growing object of the package that 8 threads share fails within a few trials."""
    truth = holidays.country_holidays("DE", subdiv="BY", years=range(1991, 2101), expand=False, language="de")
    expected = {
        day: day in truth for day in (date(year, month, 1) for year in range(1991, 2101) for month in (1, 5, 11))
    }

    def trial():
        shared = holidays.country_holidays("DE", subdiv="BY", language="de")
        start = Barrier(8)

        def ask(_):
            start.wait()
            return {day: day in shared for day in expected}

        with ThreadPoolExecutor(8) as pool:
            return all(answer == expected for answer in pool.map(ask, range(8)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert not all(succeeds(trial) for _ in range(300))
    finally:
        sys.setswitchinterval(interval)


def succeeds(trial):
    """Whether a trial succeeds; an error counts as failure."""
    try:
        return trial()
    except (RuntimeError, KeyError, AttributeError, ValueError, TypeError):
        return False


def test_a_calendar_that_many_threads_need_is_built_once(monkeypatch):
    forget()
    built = []
    original = BusinessCalendar.__init__

    def counting(self, *args):
        built.append(args)
        original(self, *args)

    monkeypatch.setattr(BusinessCalendar, "__init__", counting)
    with ThreadPoolExecutor(8) as pool:
        calendars = set(pool.map(lambda _: business_calendar("DE-HH", WEEK), range(64)))
    assert len(built) == len(calendars) == 1


@pytest.mark.proof
def test_statutory_weeks_and_names_of_single_years_are_those_of_the_package_in_every_region():
    """The week by its rule, and each year by itself, against every date, and all years at once."""
    every = [(country, part) for country in sorted(ALL) for part in (None, *subdivisions(country))]
    changed_week = [(country, None) for country in ("AE", "DZ", "MY", "TH", "TW", "YE")] + [("MY", "01")]
    for country, part in changed_week + every[:: scaled(80, 1)]:
        years = holidays_data._covered(country, part)
        first, last = date(years[0], 1, 1).toordinal(), date(years[-1], 12, 31).toordinal()
        entity = holidays.country_holidays(country, subdiv=part, expand=False, language="en")
        theirs = [i for i in range(last + 1 - first) if entity.is_weekend(date.fromordinal(first + i))]
        weekends = holidays_data._weekends(country, part, first, last + 1 - first)
        assert sorted(chain(*(range(last + 1 - first)[weekend] for weekend in weekends))) == theirs, (country, part)
        language, _ = holidays_data._language(country, "en")
        named = {}
        for year in years:
            named |= holidays_data._built(country, part, language, range(year, year + 1)).names
        assert named == holidays_data._built(country, part, language).names, (country, part)


@pytest.mark.usefixtures("_few_years")
def test_the_caches_have_a_maximum_size():
    for country in sorted(ALL):  # more than fit in the cache
        for week in (WEEK, WEEKDAYS[:6], ("mon",)):
            business_calendar(country, week)
    assert len(holidays_data._calendar.cache) <= 64
    kept = (holidays_data._region_days, holidays_data._names, holidays_data._parts)
    assert all(len(cached.cache) <= cached.cache.maxsize <= 1024 for cached in kept)

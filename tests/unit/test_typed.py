"""Dates and times as people type them: which are understood, which are refused, and that shown ones can be typed."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refunds.errors import InvalidInput, Unfit
from refunds.presentation.language import LANGUAGES, speaking
from refunds.presentation.texts.dates import clock_text, date_text
from refunds.web.console.dates import typed_instant, typed_time
from refunds.web.console.forms import Typed
from refunds.web.console.messages import field_error_text

TODAY = date(2026, 4, 8)
"""A Wednesday."""

SUMMER = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("2026-04-08", date(2026, 4, 8), None),
        ("2026-4-8", date(2026, 4, 8), None),
        ("2026-04-08 23:05", date(2026, 4, 8), time(23, 5)),
        ("2026-04-08T23:05", date(2026, 4, 8), time(23, 5)),
        ("2026-04-08 24:00", date(2026, 4, 9), time(0)),
        ("31.12.2025 24 Uhr", date(2026, 1, 1), time(0)),
        ("gestern um 24.00 Uhr", TODAY, time(0)),
        ("24:00 am Freitag", date(2026, 4, 4), time(0)),
        ("letzten Freitag, 24h", date(2026, 4, 4), time(0)),
        ("8 Uhr 30", TODAY, time(8, 30)),
        ("8 Uhr 30 gestern", date(2026, 4, 7), time(8, 30)),
        ("8.4.2026 18 Uhr 05", date(2026, 4, 8), time(18, 5)),
        ("gestern 18h30", date(2026, 4, 7), time(18, 30)),
        ("18 Uhr 27 Mar 2026", date(2026, 3, 27), time(18)),
        ("18 Uhr 27.3.2026", date(2026, 3, 27), time(18)),
        ("8.30 Uhr", TODAY, time(8, 30)),
        ("08:30 Uhr", TODAY, time(8, 30)),
        ("8am", TODAY, time(8)),
        ("8:30 p.m.", TODAY, time(20, 30)),
        ("25.10.2025 02:30 Uhr (+02:00)", date(2025, 10, 25), time(2, 30, tzinfo=SUMMER)),
        ("25 Oct 2025, 2:30 (+02:00)", date(2025, 10, 25), time(2, 30, tzinfo=SUMMER)),
        ("8.4.2026", date(2026, 4, 8), None),
        ("08.04.2026", date(2026, 4, 8), None),
        ("8. 4. 2026", date(2026, 4, 8), None),
        ("8.4.2026 23:05", date(2026, 4, 8), time(23, 5)),
        ("8.4.2026, 23:05 Uhr", date(2026, 4, 8), time(23, 5)),
        ("8.4.2026 um 23:05 Uhr", date(2026, 4, 8), time(23, 5)),
        ("8.4.2026, um 23:05Uhr", date(2026, 4, 8), time(23, 5)),
        ("8.4.", date(2026, 4, 8), None),
        ("9.4.", date(2025, 4, 9), None),
        ("31.12.", date(2025, 12, 31), None),
        ("29.2.", date(2024, 2, 29), None),
        ("8 April", date(2026, 4, 8), None),
        ("8 april 2026", date(2026, 4, 8), None),
        ("8. April 2026", date(2026, 4, 8), None),
        ("8 Apr 2026, 23:05", date(2026, 4, 8), time(23, 5)),
        ("8 Apr. 2026 at 9:05", date(2026, 4, 8), time(9, 5)),
        ("1. März 2026", date(2026, 3, 1), None),
        ("1. Mrz 2026", date(2026, 3, 1), None),
        ("1. Jänner 2026", date(2026, 1, 1), None),
        ("24 Dez 2025", date(2025, 12, 24), None),
        ("24 December", date(2025, 12, 24), None),
        ("1. Mai", date(2025, 5, 1), None),
        ("1 May 2026", date(2026, 5, 1), None),
        ("Wed, 8 Apr 2026", date(2026, 4, 8), None),
        ("Mittwoch, 8. April 2026", date(2026, 4, 8), None),
        ("Mi., 8. Apr. 2026", date(2026, 4, 8), None),
        ("Wednesday, 8 April 2026, 23:05", date(2026, 4, 8), time(23, 5)),
        ("today", TODAY, None),
        ("Heute", TODAY, None),
        ("yesterday 17:40", date(2026, 4, 7), time(17, 40)),
        ("GESTERN um 17:40 Uhr", date(2026, 4, 7), time(17, 40)),
        ("vorgestern", date(2026, 4, 6), None),
        ("14:05", TODAY, time(14, 5)),
        ("9:05", TODAY, time(9, 5)),
        ("0:00", TODAY, time(0, 0)),
        ("  8.4.2026   23:05  ", date(2026, 4, 8), time(23, 5)),
        ("8.4.2026\t23:05", date(2026, 4, 8), time(23, 5)),
        ("8.4.26", date(2026, 4, 8), None),
        ("27.11.25 18:40", date(2025, 11, 27), time(18, 40)),
        ("8.4", date(2026, 4, 8), None),
        ("31.12", date(2025, 12, 31), None),
        ("8.4. 18.40", date(2026, 4, 8), time(18, 40)),
        ("8.10 18.40", date(2025, 10, 8), time(18, 40)),
        ("8.4.2026 23h", date(2026, 4, 8), time(23)),
        ("18.40", TODAY, time(18, 40)),
        ("23.05 Uhr", TODAY, time(23, 5)),
        ("18 Uhr", TODAY, time(18)),
        ("gestern 18 Uhr", date(2026, 4, 7), time(18)),
        ("gestern gegen 18 Uhr", date(2026, 4, 7), time(18)),
        ("11:05 pm", TODAY, time(23, 5)),
        ("yesterday at 12 am", date(2026, 4, 7), time(0)),
        ("12:30 p.m.", TODAY, time(12, 30)),
        ("6pm yesterday", date(2026, 4, 7), time(18)),
        ("um 18 Uhr gestern", date(2026, 4, 7), time(18)),
        ("at 6pm", TODAY, time(18)),
        ("27/3", date(2026, 3, 27), None),
        ("3/27/2026", date(2026, 3, 27), None),
        ("27-03-2026 18:40", date(2026, 3, 27), time(18, 40)),
        ("4/4", date(2026, 4, 4), None),
        ("April 8", date(2026, 4, 8), None),
        ("April 8, 2026", date(2026, 4, 8), None),
        ("Apr 8th, 9:05 am", date(2026, 4, 8), time(9, 5)),
        ("8. Foo", None, None),
        ("8th of April 2026", date(2026, 4, 8), None),
        ("1st Apr", date(2026, 4, 1), None),
        ("Freitag 18:40", date(2026, 4, 3), time(18, 40)),
        ("Fr 18.40", date(2026, 4, 3), time(18, 40)),
        ("Fr. 18 Uhr", date(2026, 4, 3), time(18)),
        ("am Freitag um 18:40 Uhr", date(2026, 4, 3), time(18, 40)),
        ("friday 6:40 pm", date(2026, 4, 3), time(18, 40)),
        ("on Tues at 9 am", date(2026, 4, 7), time(9)),
        ("18:40 am Freitag", date(2026, 4, 3), time(18, 40)),
        ("8 am Friday", date(2026, 4, 3), time(8)),
        ("letzten Freitag", date(2026, 4, 3), None),
        ("last Wednesday", date(2026, 4, 1), None),
        ("Donnerstag", date(2026, 4, 2), None),
        ("Freitag, den 3. April", date(2026, 4, 3), None),
        ("Fr 3.4. 18:40", date(2026, 4, 3), time(18, 40)),
        ("On Fri, Apr 3, 2026 at 6:40\u202fPM", date(2026, 4, 3), time(18, 40)),
        ("Am Fr., 3. Apr. 2026 um 18:40 Uhr", date(2026, 4, 3), time(18, 40)),
        ("Fri, Apr 3, 6:40 PM (5 days ago)", date(2026, 4, 3), time(18, 40)),
        ("3. Apr. 2026, 18:40 (vor 5 Tagen)", date(2026, 4, 3), time(18, 40)),
        ("Gesendet: Freitag, 3. April 2026 18:40", date(2026, 4, 3), time(18, 40)),
        ("Sent: Friday, April 3, 2026 6:40 PM", date(2026, 4, 3), time(18, 40)),
        ("April 3, 2026, 18:40:12", date(2026, 4, 3), time(18, 40, 12)),
    ],
)
def test_dates_and_times_are_understood_in_many_forms(text, day, clock):
    """A date without a year is the last such date up to today."""
    if day is None:
        with pytest.raises(ValueError, match="not a date"):
            typed_time(text, TODAY)
    else:
        assert typed_time(text, TODAY) == (day, clock)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "8", "8.", "8,4.2026", "31.2.2026", "32.1.", "0.1.2026", "1.0.2026", "1.13.2026",
        "30.2.", "8 Foo 2026", "8 4 2026", "2026", "20260408", "2026-W15-3", "8.4.2026 24:01", "24:00:01", "24 am", "24:00 pm", "24 Uhr 30", "8 Uhr 3", "Mitternacht", "23:05 (+25:00)", "8.4.2026 (+02:00)", "23:60", "25:00", "8.4.2026 23",
        "9:5", "13 pm", "0 am", "18:40 am", "tomorrow", "morgen", "8.4.2026 8.4.2026", "8.4.2026 23:05 23:06", "8.4.0000", "٨.٤.٢٠٢٦", "８.４.２０２６",
        "8.4.2026\x00", "8.4.2026 23:05Z", "8.4.2026+02:00", "-8.4.2026", "99999.4.2026", "8.4.99999", "9" * 5000, "8." * 5000, "Wed, Wed, 8 Apr 2026", "Foo, 7.4.2026", "Friday, 7.4.2026",
    ],
)  # fmt: skip
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        typed_time(text, TODAY)


@pytest.mark.parametrize(
    "text",
    ["8/4", "8/4/2026", "4-8-2026", "1/2/26 18:40", "8.10", "23.05", "18.04", "Mittwoch", "Wed 9:05", "Fr 18.04", "8.10 9.11"],
)  # fmt: skip
def test_what_can_mean_more_than_one_time_is_asked_back(text):
    """A weekday alone, which is today's, can be today or a week ago; `18.04` can be a time or a date."""
    with pytest.raises(Unfit) as refused:
        typed_time(text, TODAY)
    assert refused.value.code == "ambiguous_time"


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 27 Nov 2026 18:40:12 +0100",
        "Date: Fri, 27 Nov 2026 18:40:12 +0100 (CET)",
        "27 Nov 2026 17:40:12 GMT",
        "Fri, 27 Nov 2026 17:40:12 -0000",
        "2026-11-27 18:40:12 +0100",
        "2026-11-27T12:40:12-05:00",
    ],
)
def test_the_date_of_a_mail_is_an_instant(text):
    assert typed_instant(text) == datetime(2026, 11, 27, 17, 40, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "Thu, 27 Nov 2026 18:40:12 +0100", "Fri, 27 Nov 2026 18:40:12", "Fri, 27 Nov 2026 25:40 +0100", "27 Foo 2026 18:40 +0100", "2026-13-27 18:40 +0100",
        "Fri, 27 Nov 2026 18:40:12 +9900", "Fri, 27 Nov 2026 18:40:12 CET", "8.4.2026 18:40 +0100", "0000-11-27 18:40 +0100",
    ],
)  # fmt: skip
def test_what_is_no_date_of_a_mail_has_no_instant(text):
    with pytest.raises(ValueError, match=r".+"):
        typed_instant(text)


def test_29_february_is_found_across_a_century_year_without_one():
    assert typed_time("29.2.", date(2104, 2, 28)) == (date(2096, 2, 29), None)


@pytest.mark.parametrize("today", [date(1, 1, 1), date(1, 1, 2), date(9999, 12, 31)])
@pytest.mark.parametrize("text", ["1.1.", "2.1.", "31.12.", "29.2.", "today", "yesterday", "vorgestern"])
def test_near_the_first_date_there_may_be_no_such_date(today, text):
    """Then it is a value error, like any other invalid text."""
    try:
        day, _ = typed_time(text, today)
    except (ValueError, OverflowError):
        assert today.year == 1
    else:
        assert day <= today


@given(day=st.dates(date(1000, 1, 1)), language=st.sampled_from(LANGUAGES), today=st.dates(date(1000, 1, 1)))
@example(day=date(2026, 3, 1), language="de", today=TODAY)
@example(day=date(2026, 9, 1), language="en", today=TODAY)
def test_a_shown_date_can_be_typed(day, language, today):
    with speaking(language):
        assert typed_time(date_text(day), today) == (day, None)


ZONES = ("Europe/Berlin", "Etc/UTC", "America/St_Johns", "Pacific/Kiritimati")


@given(
    instant=st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 30), timezones=st.just(UTC)),
    zone=st.sampled_from(ZONES),
    language=st.sampled_from(LANGUAGES),
)
@example(instant=datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone="Europe/Berlin", language="de")
@example(instant=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), zone="Europe/Berlin", language="en")
@example(instant=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), zone="Europe/Berlin", language="de")
@example(instant=datetime(2010, 11, 7, 2, 30, tzinfo=UTC), zone="America/St_Johns", language="en")
def test_a_shown_time_can_be_typed(instant, zone, language):
    with speaking(language):
        shown = clock_text(instant, zone)
    local = instant.astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)
    assert Typed(shown).instant("received_at", instant, zone) == local.astimezone(UTC)


AUTUMN, SPRING = "25.10.2026 02:30", "29.3.2026 2.30 Uhr"
FIRST, LAST = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
BIT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "now", "days", "instant"),
    [
        (AUTUMN, LAST - BIT, None, FIRST),
        (f"{AUTUMN} (+02:00)", LAST, None, FIRST),
        (f"{AUTUMN} Uhr (+01:00)", LAST, None, LAST),
        ("2026-10-25 02:30 +01:00", LAST, None, LAST),
        (AUTUMN, LAST, 0, FIRST),
        (AUTUMN, LAST, 1, LAST),
    ],
)
def test_a_time_that_was_shown_twice_is_taken_if_it_can_be_only_one(text, now, days, instant):
    """The second can be in the future; a beginning takes both in, and so does an end."""
    assert Typed(text).instant("since", now, "Europe/Berlin", days=days) == instant


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (AUTUMN, "time_twice", ["(+02:00)", "(+01:00)"]),
        (SPRING, "time_skipped", ["29.3.2026 03:30"]),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_time_that_was_shown_twice_or_never_is_asked_back(text, code, words, language):
    with pytest.raises(InvalidInput) as refused:
        Typed(text).instant("received_at", LAST, "Europe/Berlin")
    (error,) = refused.value.errors
    with speaking(language):
        said = field_error_text(error)
    assert (error.code, [word in said for word in words]) == (code, [True] * len(words))


@pytest.mark.parametrize("text", [AUTUMN, "25.10.2026 0:00", "24.10.2026 24 Uhr", f"{AUTUMN} (+02:00)"])
def test_a_time_is_no_date_even_if_it_was_shown_twice(text):
    with pytest.raises(InvalidInput) as refused:
        Typed(text).day("date", LAST, "Europe/Berlin")
    assert [error.code for error in refused.value.errors] == ["time_given"]


@given(st.text(max_size=60), st.dates(date(10, 1, 1)))
def test_any_text_is_a_date_or_a_value_error(text, today):
    try:
        day, clock = typed_time(text, today)
    except ValueError:
        return
    assert isinstance(day, date)
    assert clock is None or isinstance(clock, time)


@given(day=st.integers(1, 31), month=st.integers(1, 12), today=st.dates(date(1900, 1, 1), date(2199, 1, 1)))
def test_a_date_without_a_year_is_the_last_such_date_up_to_today(day, month, today):
    try:
        found, _ = typed_time(f"{day}.{month}.", today)
    except ValueError:
        assert (day, month) in {(30, 2), (31, 2), (31, 4), (31, 6), (31, 9), (31, 11)}
        return
    assert (found.day, found.month) == (day, month)
    assert found <= today
    assert (today - found).days < 366 * (8 if (day, month) == (29, 2) else 1) + 1

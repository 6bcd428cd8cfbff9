"""Closures that are entered one by one: each extends only the windows that have not ended by then."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.domain.business_days import BusinessCalendar, SkipReason
from refunds.domain.eligibility import decide
from refunds.domain.instants import parse_date, parse_instant
from refunds.domain.judging import calendar_of, decided_again
from refunds.domain.outcomes import Facts, Reason
from refunds.domain.policy import Closures, PolicyVersion, policy_of
from refunds.domain.region_days import WEEKDAYS, RegionDays
from refunds.domain.terms import Terms
from refunds.errors import CalendarNotCovered
from refunds.storage.policies import Policies

MONDAY = date(2026, 3, 2)
PLAIN = BusinessCalendar(RegionDays("XX", MONDAY.toordinal(), bytes(90), "test"), WEEKDAYS[:5])
SIX_DAYS = BusinessCalendar(PLAIN.region, WEEKDAYS[:6], WEEKDAYS[:5])
"""Saturdays count, and no window ends on one."""

MICROSECOND = timedelta(microseconds=1)


def day(n):
    return MONDAY + timedelta(days=n)


def entered(*closures):
    """Closures with the dates of their entry, from day numbers."""
    return [(day(closed), day(on)) for closed, on in closures]


def last_day(calendar, closures, length=2, service_day=0):
    """The number of the last day of a window with these closures."""
    calendar = calendar.with_entered_closures(entered(*closures)).as_of_window(day(service_day), length)
    return (calendar.window(day(service_day), length).last_day - MONDAY).days


@pytest.mark.parametrize(
    ("closures", "last"),
    [
        ([], 2),
        ([(1, -30)], 3),
        ([(2, 0)], 3),
        ([(2, 2)], 3),
        ([(1, 2)], 3),
        ([(2, 3)], 2),
        ([(1, 3)], 2),
        ([(1, 60)], 2),
        ([(0, -1)], 2),
        ([(3, -1)], 2),
        ([(5, -1)], 2),
        ([(2, 2), (3, 3)], 4),
        ([(3, 1), (2, 2)], 4),
        ([(2, 2), (3, 3), (4, 4)], 7),
        ([(2, 3), (3, 3)], 2),
        ([(3, 3), (2, 3)], 2),
        ([(1, 2), (2, 4)], 3),
        ([(3, 1), (1, 3)], 2),
        ([(2, 2), (3, 4)], 3),
        ([(2, 2), (1, 3)], 4),
        ([(1, 1), (2, 1), (3, 1), (4, 1)], 8),
    ],
)
def test_a_closure_extends_a_window_that_has_not_ended_on_the_day_of_its_entry(closures, last):
    """Two days after a Monday: Tuesday and Wednesday; each closure is its day and the day of its entry."""
    assert last_day(PLAIN, closures) == last


@pytest.mark.parametrize(
    ("closures", "last"),
    [
        ([], 7),
        ([(7, 7)], 8),
        ([(7, 8)], 7),
        ([(5, 5)], 7),
        ([(4, 6)], 7),
        ([(5, 7), (4, 7)], 8),
        ([(5, 7), (4, 7), (7, 7)], 9),
        ([(7, 7), (8, 8)], 9),
    ],
)
def test_days_that_end_week_skips_are_part_of_the_window(closures, last):
    """Two days after a Thursday: Friday and Saturday, which moves to Monday."""
    assert last_day(SIX_DAYS, closures, service_day=3) == last


@given(
    closures=st.lists(
        st.tuples(st.integers(-2, 25), st.integers(-5, 30)), max_size=8, unique_by=lambda closure: closure[0]
    ),
    length=st.integers(1, 9),
    service_day=st.integers(0, 8),
    six_days=st.booleans(),
)
def test_closures_have_the_effect_that_each_had_at_its_entry(closures, length, service_day, six_days):
    """The same result as adding them one by one, each only while the window is running."""
    calendar = SIX_DAYS if six_days else PLAIN
    closures.sort(key=lambda closure: closure[1])
    known = calendar
    for closed, on in entered(*closures):
        if known.window(day(service_day), length).last_day >= on:
            known = known.closed_on([closed])
    expected = (known.window(day(service_day), length).last_day - MONDAY).days
    assert last_day(calendar, closures, length, service_day) == expected


@given(
    closures=st.lists(
        st.tuples(st.integers(-2, 25), st.integers(-5, 30)),
        min_size=1,
        max_size=6,
        unique_by=lambda closure: closure[0],
    ),
    length=st.integers(1, 9),
)
def test_another_closure_never_shortens_a_window(closures, length):
    closures.sort(key=lambda closure: closure[1])
    assert last_day(PLAIN, closures, length) >= last_day(PLAIN, closures[:-1], length)


def test_each_window_has_its_own_closures():
    """A closure that is too late for one window may be in time for the next."""
    calendar = PLAIN.with_entered_closures(entered((2, 3)))
    assert [calendar.as_of_window(day(n), 2).window(day(n), 2).last_day for n in (0, 1)] == [day(2), day(4)]
    assert calendar.as_of_window(day(0), 2).why_not(day(2)) is None
    assert calendar.as_of_window(day(1), 2).why_not(day(2)) is SkipReason.CLOSURE
    assert calendar.as_of_window(day(0), 3).window(day(0), 3).last_day == day(4), "a longer window had not ended"


def test_closures_that_were_always_known_still_count():
    calendar = PLAIN.closed_on([day(1)]).with_entered_closures(entered((2, 60)))
    assert calendar.as_of_window(day(0), 2).window(day(0), 2).last_day == day(3)


def test_a_calendar_without_entered_closures_is_the_same_for_every_window():
    assert PLAIN.as_of_window(day(0), 2) is PLAIN
    assert PLAIN.closed_on([day(1)]).as_of_window(day(0), 2).closures == [day(1)]


PROVIDED = "2026-04-02T11:30:00Z"


def version(*closures, **terms):
    """A version whose policy has closures: dates, and the instants at which they were entered."""
    later = Closures(tuple((parse_date(closed), parse_instant(at)) for closed, at in closures))
    return PolicyVersion("brand", 1, None, Terms(**terms), closures=later)


def deadline(version, provided=PROVIDED, received="2026-04-02T12:00:00Z", region=None):
    """The deadline of an order."""
    facts = Facts(service_provided_at=parse_instant(provided), received_at=parse_instant(received))
    return decide(facts, version, calendar_of(version, region)).deadline


@pytest.mark.parametrize(
    ("zone", "ends"),
    [
        ("Europe/Berlin", "2026-04-09T00:00:00+02:00"),
        ("Pacific/Kiritimati", "2026-04-09T00:00:00+14:00"),
        ("Pacific/Pago_Pago", "2026-04-09T00:00:00-11:00"),
        ("Asia/Kathmandu", "2026-04-09T00:00:00+05:45"),
    ],
)
def test_a_window_ends_at_midnight_in_the_policys_time_zone(zone, ends):
    """A closure that is entered at the deadline is too late by a microsecond."""
    ends, terms = parse_instant(ends), {"time_zone": zone}
    assert deadline(version(**terms)) == ends
    in_time, late = ((ends - MICROSECOND).isoformat(), ends.isoformat())
    assert deadline(version(("2026-04-08", in_time), **terms)) == ends + timedelta(days=1)
    assert deadline(version(("2026-04-08", late), **terms)) == ends


@pytest.mark.parametrize("date", ["2026-04-03", "2026-04-04", "2026-04-06"])
def test_a_closure_on_a_day_that_does_not_count_extends_nothing(date):
    assert deadline(version((date, "2026-04-01T00:00:00Z"))) == deadline(version())


def test_a_decision_records_the_closures_that_were_in_time():
    """Including those of the terms, so that the decision can be made again after further closures."""
    brand = version(
        ("2026-04-07", "2026-04-07T09:00:00Z"),
        ("2026-04-09", "2026-04-20T09:00:00Z"),
        ("2026-05-04", "2026-04-07T09:00:00Z"),
        closures=(parse_date("2026-04-08"),),
    )
    facts = Facts(service_provided_at=parse_instant(PROVIDED), received_at=parse_instant("2026-04-10T21:59:00Z"))
    decision = decide(facts, brand, calendar_of(brand))
    assert (decision.reason, str(decision.window.last_day)) == (Reason.WITHIN_WINDOW, "2026-04-10")
    recorded = decision.recorded
    assert list(map(str, recorded.closures)) == ["2026-04-07", "2026-04-08"]
    more = version(*((f"2026-04-{n:02}", "2026-04-02T09:00:00Z") for n in range(1, 31)), closures=brand.terms.closures)
    policies = Policies([(policy_of([more]), ())], "brand", 1)
    assert decided_again(policies, recorded).outcome == decision.outcome


def test_a_record_has_the_closures_from_the_first_day_that_the_decision_depends_on_to_the_last():
    """From the service day to the last day of the window: the 2nd to the 8th."""
    early, late = "2026-03-01T09:00:00Z", "2026-04-09T09:00:00Z"
    brand = version(("2026-04-01", early), ("2026-04-02", early), ("2026-04-09", early), ("2026-04-08", late))
    facts = Facts(service_provided_at=parse_instant(PROVIDED), received_at=parse_instant("2026-04-02T12:00:00Z"))
    recorded = decide(facts, brand, calendar_of(brand)).recorded
    assert list(map(str, recorded.closures)) == ["2026-04-02"]
    assert list(map(str, recorded.closures_too_late)) == ["2026-04-08"]


def test_a_closure_that_is_too_late_takes_no_window_out_of_the_calendar():
    """The last business day of the calendar is day 88, a Friday."""
    assert last_day(PLAIN, [(88, 89)], service_day=86) == 88
    assert last_day(PLAIN, [(88, 87)], service_day=85) == 87
    with pytest.raises(CalendarNotCovered):
        last_day(PLAIN, [(88, 88)], service_day=86)


@pytest.mark.parametrize("lost", ["window", "entry"])
def test_a_decision_beyond_the_calendar_records_every_closure_that_led_there(lost):
    """The data of Sri Lanka ends with 2026; what the vendor enters later does not change why nothing was known."""
    brand = version(("2026-12-30", "2026-12-01T09:00:00Z"), ("2026-12-31", "2026-12-01T09:00:00Z"), region="LK")
    facts = Facts(
        service_provided_at=parse_instant("2026-12-28T09:00:00Z" if lost == "window" else "2026-12-21T09:00:00Z"),
        received_at=parse_instant("2026-12-28T10:00:00Z" if lost == "window" else "2026-12-22T10:00:00Z"),
        recorded_at=parse_instant("2026-12-28T10:00:00Z" if lost == "window" else "2027-01-15T10:00:00Z"),
    )
    decision = decide(facts, brand, calendar_of(brand), of_order=True)
    assert (decision.reason, decision.window is None) == (Reason.CALENDAR_UNKNOWN, lost == "window")
    recorded, emptied = decision.recorded, replace(brand, closures=Closures())
    policies = Policies([(policy_of([emptied]), ())], "brand", 1)
    assert decided_again(policies, recorded).outcome == decision.outcome


def test_a_closure_extends_the_time_for_a_late_entry_too():
    """A closure among the five business days for entering a contact adds a day."""
    facts = Facts(
        service_provided_at=parse_instant(PROVIDED),
        received_at=parse_instant("2026-04-08T21:00:00Z"),
        recorded_at=parse_instant("2026-04-16T09:00:00Z"),
    )

    def reason(*closures):
        judging = version(*closures)
        return decide(facts, judging, calendar_of(judging)).reason

    assert reason() is Reason.LATE_ENTRY_NEEDS_SUPERVISOR
    assert reason(("2026-04-13", "2026-04-10T09:00:00Z")) is Reason.WITHIN_WINDOW


def test_a_closure_that_is_too_late_for_the_window_still_extends_the_time_for_a_late_entry():
    """The decision can be made again from its record, even without that closure in the policy."""
    brand = version(("2026-04-08", "2026-04-09T09:00:00Z"))
    received, recorded = parse_instant("2026-04-07T12:00:00Z"), parse_instant("2026-04-15T10:00:00Z")
    facts = Facts(service_provided_at=parse_instant(PROVIDED), received_at=received, recorded_at=recorded)
    decision = decide(facts, brand, calendar_of(brand))
    assert (str(decision.window.last_day), decision.reason) == ("2026-04-08", Reason.WITHIN_WINDOW)
    policies = Policies([(policy_of([version()]), ())], "brand", 1)
    assert decided_again(policies, decision.recorded).outcome == decision.outcome


def test_a_what_if_includes_the_closures_that_were_entered():
    entered_too = version(("2026-04-07", "2026-04-07T09:00:00Z"))
    what_if = entered_too.what_if({"closures": (parse_date("2026-04-08"),), "window_business_days": 1})
    assert deadline(what_if) == datetime.fromisoformat("2026-04-10T00:00:00+02:00")
    assert deadline(entered_too.what_if({"follow_order_region": False}), region="DE-BY") == deadline(entered_too)


def test_closures_of_the_terms_alone_extend_a_window():
    known = version(closures=(parse_date("2026-04-08"),))
    assert deadline(known) == deadline(version()) + timedelta(days=1)
    assert deadline(version()) == datetime.fromisoformat("2026-04-09T00:00:00+02:00")

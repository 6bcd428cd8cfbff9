"""Closures that are entered one by one: each extends the windows that had not ended by then, and no other."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.domain.business_days import WEEKDAYS, BusinessCalendar, RegionDays, SkipReason
from refunds.domain.eligibility import Facts, Reason, decide
from refunds.domain.instants import parse_date, parse_instant
from refunds.domain.judging import calendar_of, decided_again
from refunds.domain.policy import Closures, PolicyVersion, policy_of
from refunds.domain.terms import Terms
from refunds.storage.policies import Policies, PolicyHistory

MONDAY = date(2026, 3, 2)
PLAIN = BusinessCalendar(RegionDays("XX", MONDAY.toordinal(), bytes(90), False, "test"), WEEKDAYS[:5])
SIX_DAYS = BusinessCalendar(PLAIN.region, WEEKDAYS[:6], WEEKDAYS[:5])
"""Saturdays count, and no window ends on one."""

MICROSECOND = timedelta(microseconds=1)


def day(n):
    return MONDAY + timedelta(days=n)


def entered(*closures):
    """Closures as they were entered, by day numbers."""
    return [(day(closed), day(on)) for closed, on in closures]


def last_day(calendar, closures, length=2, service_day=0):
    """The number of the last day of a window, the closures being entered."""
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
    """Two days after a Monday: Tuesday and Wednesday; each closure is told as its day and the day of its entry."""
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
def test_what_end_week_passes_over_is_part_of_the_window(closures, last):
    """Two days after a Thursday: Friday and Saturday, where it may not end: on Monday."""
    assert last_day(SIX_DAYS, closures, service_day=3) == last


@given(
    closures=st.lists(
        st.tuples(st.integers(-2, 25), st.integers(-5, 30)), max_size=8, unique_by=lambda closure: closure[0]
    ),
    length=st.integers(1, 9),
    service_day=st.integers(0, 8),
    six_days=st.booleans(),
)
def test_it_is_as_if_each_had_been_told_at_its_time(closures, length, service_day, six_days):
    """Whoever learns of them one by one adds those that come while the window runs, and never looks back."""
    calendar = SIX_DAYS if six_days else PLAIN
    closures.sort(key=lambda closure: closure[1])
    told = calendar
    for closed, on in entered(*closures):
        if told.window(day(service_day), length).last_day >= on:
            told = told.closed_on([closed])
    expected = (told.window(day(service_day), length).last_day - MONDAY).days
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
def test_one_more_never_shortens_a_window(closures, length):
    closures.sort(key=lambda closure: closure[1])
    assert last_day(PLAIN, closures, length) >= last_day(PLAIN, closures[:-1], length)


def test_each_window_has_its_own():
    """What came too late for one may be in time for the next."""
    calendar = PLAIN.with_entered_closures(entered((2, 3)))
    assert [calendar.as_of_window(day(n), 2).window(day(n), 2).last_day for n in (0, 1)] == [day(2), day(4)]
    assert calendar.as_of_window(day(0), 2).why_not(day(2)) is None
    assert calendar.as_of_window(day(1), 2).why_not(day(2)) is SkipReason.CLOSURE
    assert calendar.as_of_window(day(0), 3).window(day(0), 3).last_day == day(4), "a longer window had not ended"


def test_those_that_were_always_known_stay():
    calendar = PLAIN.closed_on([day(1)]).with_entered_closures(entered((2, 60)))
    assert calendar.as_of_window(day(0), 2).window(day(0), 2).last_day == day(3)


def test_a_calendar_without_any_is_the_same_for_every_window():
    assert PLAIN.as_of_window(day(0), 2) is PLAIN
    assert PLAIN.closed_on([day(1)]).as_of_window(day(0), 2).closures == [day(1)]


PROVIDED = "2026-04-02T11:30:00Z"


def version(*closures, **terms):
    """A version whose policy has closures: dates, and the instants at which they were entered."""
    later = Closures(tuple((parse_date(closed), parse_instant(at)) for closed, at in closures))
    return PolicyVersion("brand", 1, None, Terms(**terms), closures=later)


def deadline(version, provided=PROVIDED, received="2026-04-02T12:00:00Z", region=None):
    """When the window of an order ends."""
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
def test_whether_a_window_had_ended_is_told_by_the_policys_own_midnight(zone, ends):
    """One entered at the very instant at which the window ends is too late by a microsecond."""
    ends, terms = parse_instant(ends), {"time_zone": zone}
    assert deadline(version(**terms)) == ends
    in_time, late = ((ends - MICROSECOND).isoformat(), ends.isoformat())
    assert deadline(version(("2026-04-08", in_time), **terms)) == ends + timedelta(days=1)
    assert deadline(version(("2026-04-08", late), **terms)) == ends


@pytest.mark.parametrize("date", ["2026-04-03", "2026-04-04", "2026-04-06"])
def test_a_closure_on_a_day_that_does_not_count_anyway_extends_nothing(date):
    assert deadline(version((date, "2026-04-01T00:00:00Z"))) == deadline(version())


def test_what_a_decision_was_made_with_are_the_closures_that_came_in_time():
    """Those of the terms, too; so that it is made again from its own record when there are more of them."""
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
    policies = Policies([PolicyHistory(policy_of([more]), ())], "brand", 1)
    assert decided_again(policies, recorded).outcome == decision.outcome


def test_a_late_entry_passes_over_a_closure_too():
    """Five business days to enter a contact are one day longer for a closed day among them."""
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


def test_a_closure_that_came_too_late_for_the_window_leaves_more_time_to_enter_a_contact():
    """It is made again from its own record, when the policy says nothing of that closure any more."""
    brand = version(("2026-04-08", "2026-04-09T09:00:00Z"))
    received, recorded = parse_instant("2026-04-07T12:00:00Z"), parse_instant("2026-04-15T10:00:00Z")
    facts = Facts(service_provided_at=parse_instant(PROVIDED), received_at=received, recorded_at=recorded)
    decision = decide(facts, brand, calendar_of(brand))
    assert (str(decision.window.last_day), decision.reason) == ("2026-04-08", Reason.WITHIN_WINDOW)
    policies = Policies([PolicyHistory(policy_of([version()]), ())], "brand", 1)
    assert decided_again(policies, decision.recorded).outcome == decision.outcome


def test_a_what_if_counts_what_was_entered_as_well():
    entered_too = version(("2026-04-07", "2026-04-07T09:00:00Z"))
    what_if = entered_too.what_if({"closures": (parse_date("2026-04-08"),), "window_business_days": 1})
    assert deadline(what_if) == datetime.fromisoformat("2026-04-10T00:00:00+02:00")
    assert deadline(entered_too.what_if({"follow_order_region": False}), region="DE-BY") == deadline(entered_too)

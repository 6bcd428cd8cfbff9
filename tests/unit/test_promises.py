"""What an order was told stands in the decision: its end, and the dates that do not count."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.domain.business_days import BusinessCalendar, DayStatus, explained
from refunds.domain.eligibility import decide
from refunds.domain.outcomes import Facts
from refunds.domain.policy import PolicyVersion
from refunds.domain.region_days import WEEKDAYS, DayFlag, RegionDays
from refunds.domain.terms import Terms

MONDAY = date(2026, 3, 2)
PROVIDED = datetime.combine(MONDAY, time(12), UTC)
VERSION = PolicyVersion("brand", 1, None, Terms(region="DE", time_zone="Europe/Berlin"))


def day(n):
    return MONDAY + timedelta(days=n)


def calendar(holidays, closures=()):
    """A calendar from that Monday on with these holidays, and these closures, entered on that Monday; by number."""
    marks = bytes(DayFlag.HOLIDAY if n in holidays else 0 for n in range(90))
    plain = BusinessCalendar(RegionDays("XX", MONDAY.toordinal(), marks, "test"), WEEKDAYS[:5])
    return plain.with_entered_closures((day(closed), MONDAY) for closed in closures) if closures else plain


def decided(holidays, closures=(), promise=None):
    """The decision on an order that was provided on that Monday and told this, by these holidays and closures."""
    facts = Facts(service_provided_at=PROVIDED, received_at=PROVIDED)
    return decide(facts, VERSION, calendar(holidays, closures), promise=promise, of_order=True)


def last(decision):
    """The number of the last day of a decision."""
    return (decision.window.last_day - MONDAY).days


def counted(told):
    """The dates that count in a told window."""
    days = explained(told.window.service_day, told.day_codes)
    return {day.date for day in days if day.status is DayStatus.COUNTED}


def skipped(told):
    """The service day and the dates that are skipped in a told window."""
    return {day.date for day in explained(told.window.service_day, told.day_codes)} - counted(told)


def test_a_lost_holiday_leaves_the_end_that_was_told():
    told = decided({1, 2}).told
    assert last(decided(set())) == 2
    kept = decided(set(), promise=told)
    assert (last(kept), kept.kept, kept.told) == (4, True, told)


def test_a_closure_that_makes_up_for_a_lost_holiday_does_not_shorten_what_others_extend():
    """With the second closure, today's window ends when it was told; that is before the end that the first gave."""
    told = decided({1, 2}).told
    assert last(decided(set(), [3, 1])) == 4
    assert [last(decided(set(), closed, told)) for closed in ([], [3], [3, 1], [3, 1, 4])] == [4, 7, 7, 8]


def test_a_date_that_an_order_was_told_does_not_count_never_counts_for_it():
    """The holiday moves within the window, so that it would end when it was told."""
    told = decided({1}).told
    moved = decided({2}, promise=told)
    assert last(decided({2})) == last(decided({1})) == 3
    assert last(moved) == 4
    assert day(1) not in counted(moved.told)


def test_a_told_date_does_not_count_even_if_the_window_ends_when_it_was_told():
    """Of Friday and Saturday, after a Thursday, the end moves to Monday, with which a lost holiday on Friday ended."""
    thursday, told = PROVIDED + timedelta(3), None
    facts = Facts(service_provided_at=thursday, received_at=thursday)
    for holidays in ({4}, set()):
        six_days = BusinessCalendar(calendar(holidays).region, WEEKDAYS[:6], WEEKDAYS[:5])
        decision = decide(facts, VERSION, six_days, promise=told)
        assert (last(decision), counted(decision.told)) == (7, {day(5), day(7)})
        told = decision.told
    assert decision.kept


def test_a_promise_is_not_kept_if_today_no_told_date_counts_and_the_window_ends_no_earlier():
    told = decided({1}).told
    for now in (decided({1}, promise=told), decided(set(), [1], told), decided({1, 2}, promise=told)):
        assert not now.kept


def test_a_promise_that_is_not_kept_changes_nothing():
    """Not even if today's window is the same: its days and its time zone are told as they are today."""
    promise = decided({1}).told
    paris = PolicyVersion("brand", 2, None, Terms(region="DE", time_zone="Europe/Paris"))
    facts, now = Facts(service_provided_at=PROVIDED, received_at=PROVIDED), calendar(set(), [1])
    told = decide(facts, paris, now, promise=promise).told
    assert told == decide(facts, paris, now).told
    assert (told.window, told.deadline) == (promise.window, promise.deadline)
    assert told.day_codes != promise.day_codes
    assert told.time_zone == "Europe/Paris"


@pytest.mark.parametrize(
    ("service_day", "holidays", "weeks", "today", "length", "end"),
    [
        (0, set(), [WEEKDAYS[:5]], [WEEKDAYS[:5]], 2, 3),
        # the end moves over a Sunday and a holiday on Monday; both count today
        (3, {7}, [WEEKDAYS[:6], WEEKDAYS[:5]], [WEEKDAYS], 5, 9),
    ],
)
def test_a_promise_is_not_kept_if_another_time_zone_moves_service_day_and_end_on(
    service_day, holidays, weeks, today, length, end
):
    """At 17:00 in Berlin it is the next day in Tokyo."""
    provided = PROVIDED + timedelta(service_day, hours=4)
    facts = Facts(service_provided_at=provided, received_at=provided)
    promise = decide(facts, VERSION, BusinessCalendar(calendar(holidays).region, *weeks)).told
    terms = Terms(region="DE", time_zone="Asia/Tokyo", window_business_days=length)
    now = BusinessCalendar(calendar(set()).region, *today)
    decision = decide(facts, PolicyVersion("brand", 2, None, terms), now, promise=promise, of_order=True)
    assert (last(decision), decision.kept) == (end, False)
    assert decision.deadline > promise.deadline


def test_the_names_of_holidays_that_were_told_are_told_again_with_their_window_alone():
    names = {day(1): {"en": ("Old Holiday", "en")}}
    told = decided({1}).told._replace(names=names)
    assert decided(set(), promise=told).outcome.names == names
    assert decided({1}, promise=told).outcome.names == {}


def test_a_decision_is_recorded_with_a_promise_only_if_it_keeps_it():
    told = decided({1}).told
    assert decided(set(), promise=told).recorded.promise == told
    assert decided({1}, promise=told).recorded.promise is None


numbers = st.integers(0, 9)
some = st.sets(numbers, max_size=6)


@given(st.lists(some | numbers, min_size=2, max_size=8))
def test_neither_other_data_nor_closures_shorten_what_was_told(changes):
    """Other holidays, or one more closure, one after another; each answer is put on record."""
    holidays, closures, told = set(), [], None
    for change in changes:
        if isinstance(change, set):
            holidays = change
        elif change not in closures:
            closures.append(change)
        now = decided(holidays, closures, told).told
        if told is not None:
            assert now.deadline >= told.deadline
            assert not skipped(told) & counted(now)
        told = now


@given(some, some, st.lists(numbers, unique=True, max_size=5))
def test_closures_only_extend_what_a_kept_promise_answers(before, after, closures):
    """No answer is put on record."""
    told = decided(before).told
    ends = [last(decided(after, closures[:known], told)) for known in range(len(closures) + 1)]
    assert ends == sorted(ends)


def test_a_window_that_is_kept_is_told_in_the_time_zone_in_which_it_was_told():
    told = decided({1, 2}).told
    elsewhere = PolicyVersion("brand", 2, None, Terms(region="DE", time_zone="Asia/Tokyo", window_business_days=1))
    facts = Facts(service_provided_at=PROVIDED, received_at=PROVIDED)
    kept = decide(facts, elsewhere, calendar(set()), promise=told, of_order=True)
    assert kept.kept
    assert kept.told == told
    assert (kept.outcome.time_zone, kept.outcome.deadline) == ("Europe/Berlin", told.deadline)


@pytest.mark.parametrize(("length", "closures", "end"), [(2, [3], 4), (1, [2, 3], 4)])
def test_a_window_that_closures_extend_beyond_the_end_that_was_told_is_told_as_it_is_today(length, closures, end):
    """A holiday on Tuesday is lost; the window that was told ended on Thursday."""
    terms = Terms(region="DE", time_zone="Asia/Tokyo", window_business_days=length)
    facts = Facts(service_provided_at=PROVIDED, received_at=PROVIDED)
    promise, elsewhere = decided({1}).told, PolicyVersion("brand", 2, None, terms)
    kept = decide(facts, elsewhere, calendar(set(), closures), promise=promise, of_order=True)
    assert (kept.kept, last(kept), len(kept.day_codes)) == (True, end, end)
    assert kept.outcome.time_zone == "Asia/Tokyo"


def test_a_window_that_ends_when_it_was_told_is_told_with_the_closures_entered_since():
    """A shorter window, and a closure in the place of the day that no longer counts."""
    one_day = PolicyVersion("brand", 2, None, Terms(region="DE", time_zone="Europe/Berlin", window_business_days=1))
    facts = Facts(service_provided_at=PROVIDED, received_at=PROVIDED)
    promise = decided({1}).told
    kept = decide(facts, one_day, calendar(set(), [2]), promise=promise, of_order=True)
    assert (kept.kept, kept.deadline) == (True, promise.deadline)
    assert (counted(promise), counted(kept.told)) == ({day(2), day(3)}, {day(3)})

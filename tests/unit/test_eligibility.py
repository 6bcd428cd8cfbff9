"""The decision: all vectors, every reason in its precedence, notices and the record."""

import json
from datetime import date, timedelta

import pytest

from refunds.domain import outcomes
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import decide
from refunds.domain.holidays_data import business_calendar
from refunds.domain.instants import end_of_day, parse_date, parse_instant, zone
from refunds.domain.judging import to_record
from refunds.domain.outcomes import Facts, Notice, Reason, Verdict
from refunds.domain.policy import PolicyVersion
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.terms import ContactChannel, Terms, TimelyBy
from refunds.errors import CalendarNotCovered
from refunds.storage.decisions import OUTCOME, dump_decision, load_decision
from tests.conftest import KIND, VECTORS, region, week

PROVIDED = parse_instant("2026-04-02T16:20:00+02:00")
DEADLINE = parse_instant("2026-04-09T00:00:00+02:00")
IN_TIME = DEADLINE - timedelta(microseconds=1)
LATE = DEADLINE
OFFICIAL, OTHER = "+493012345678", "+493087654321"
MICROSECOND = timedelta(microseconds=1)


def judged(facts=None, terms=None, *, of_order=True, **changed):
    """A decision on an order provided before Easter 2026 in Bavaria, with a request in time unless changed."""
    terms = Terms(region="DE-BY", **terms or {})
    facts = Facts(**{"service_provided_at": PROVIDED, "received_at": IN_TIME} | (facts or {}) | changed)
    calendar = business_calendar(terms.region, terms.business_week, terms.end_week).closed_on(terms.closures)
    return decide(facts, PolicyVersion("brand", 1, None, terms), calendar, of_order=of_order)


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["id"])
def test_every_vector_is_decided_as_expected(case):
    terms = Terms(
        window_business_days=case["window_days"],
        business_week=week(case["weekmask"]),
        end_week=week(case["end_weekmask"]),
        region=region(case),
        time_zone=case["timezone"],
        closures=tuple(map(parse_date, case["company_closures"])),
    )
    calendar = business_calendar(terms.region, terms.business_week, terms.end_week).closed_on(terms.closures)
    facts = Facts(
        service_provided_at=parse_instant(case["provided_at"]), received_at=parse_instant(case["requested_at"])
    )
    decision = decide(facts, PolicyVersion("vectors", 1, None, terms), calendar)
    expected = case["expected"]
    assert str(decision.window.service_day) == expected["provided_local_date"]
    assert str(decision.window.last_day) == expected["last_day"]
    assert decision.deadline == parse_instant(expected["deadline_utc"]) == parse_instant(expected["deadline"])
    assert decision.eligible is expected["eligible"]
    assert [str(day.date) for day in decision.outcome.days if day.ordinal] == expected["counted_days"]
    assert expected["counted_days"][0] == expected["first_counted_day"]
    skipped = [(str(day.date), day.why, day.extension) for day in decision.outcome.days if day.why]
    assert skipped == [
        (day["date"], KIND[day["kind"]], extension)
        for part, extension in (("skipped_days", False), ("extension_skipped_days", True))
        for day in expected[part]
    ]


PHONE = {"phone": ContactChannel(points=(OFFICIAL,))}
NOTHING = {channel: ContactChannel(accepted=False) for channel in ("phone", "email")}
NO_PHONE = {"phone": ContactChannel(accepted=False, points=(OFFICIAL,))}
UNKNOWN = parse_instant("2150-04-08T10:00:00+02:00")
"""Beyond the holiday data."""
LAST = parse_instant("2100-12-28T10:00:00+01:00")
"""So near to the end of the data that the window ends within it, but not the days to enter a contact."""
LONG_BEFORE = PROVIDED - timedelta(days=30)
WITHDRAWN = {"withdrawal": True}
RECORDED_LATE = parse_instant("2026-04-16T00:00:00+02:00")
"""The first instant after the fifth business day after 8 April."""
TEHRAN = [{"time_zone": "Asia/Tehran", "late_entry_days": days} for days in (0, 1, 2)]
SHORT_DATE = parse_instant("2022-03-22T00:00:00+03:30")
"""The beginning of a date of 23 hours, a Tuesday on which the clocks were put forward; and the ends of two dates."""
SHORT_DATE_ENDS, NEXT_DATE_ENDS = (SHORT_DATE + timedelta(hours=hours) for hours in (23, 47))
BEFORE = dict.fromkeys(("service_provided_at", "received_at"), SHORT_DATE - MICROSECOND)


@pytest.mark.parametrize(
    ("reason", "eligible", "facts", "terms"),
    [
        (Reason.WITHIN_WINDOW, True, {}, {}),
        (Reason.WITHIN_WINDOW, True, {"received_at": PROVIDED}, {}),
        (Reason.WINDOW_ELAPSED, False, {"received_at": LATE}, {}),
        (Reason.SERVICE_NOT_YET_PROVIDED, True, {"service_provided_at": None}, {}),
        (Reason.SERVICE_NOT_YET_PROVIDED, True, {"received_at": PROVIDED - MICROSECOND}, {}),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {"channel": Channel.PHONE}, NO_PHONE),
        (Reason.WITHIN_WINDOW, True, {"channel": Channel.EMAIL}, NO_PHONE),
        (Reason.WITHIN_WINDOW, True, {}, NO_PHONE),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {}, NOTHING),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {"channel": Channel.EMAIL}, NOTHING),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {"service_provided_at": None}, NOTHING),
        (Reason.UNOFFICIAL_CONTACT_POINT, False, {"channel": Channel.PHONE, "contact_point": OTHER}, PHONE),
        (Reason.WITHIN_WINDOW, True, {"channel": Channel.PHONE, "contact_point": OFFICIAL}, PHONE),
        (Reason.WITHIN_WINDOW, True, {"channel": Channel.PHONE, "contact_point": OTHER}, {}),
        (Reason.WITHIN_WINDOW, True, {"channel": Channel.PHONE}, PHONE),
        (Reason.ORDER_ALREADY_CANCELLED, False, {"cancelled": True}, {}),
        (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, False, {"recorded_at": RECORDED_LATE}, {}),
        (Reason.WITHIN_WINDOW, True, {"recorded_at": RECORDED_LATE - MICROSECOND}, {}),
        (Reason.CALENDAR_UNKNOWN, False, {"service_provided_at": UNKNOWN, "received_at": UNKNOWN}, {}),
        (Reason.CALENDAR_UNKNOWN, False, {"service_provided_at": UNKNOWN, "received_at": UNKNOWN + timedelta(1)}, {}),
        (Reason.CALENDAR_UNKNOWN, False, {"service_provided_at": UNKNOWN, "received_at": UNKNOWN, "recorded_at": UNKNOWN}, {}),
        (Reason.WITHIN_WINDOW, True, {"service_provided_at": LAST, "received_at": LAST, "recorded_at": LAST + timedelta(5)}, {}),
        (Reason.CALENDAR_UNKNOWN, False, {"service_provided_at": LAST, "received_at": LAST, "recorded_at": LAST + timedelta(6)}, {}),
        (Reason.WITHIN_WINDOW, True, {"service_provided_at": LAST, "received_at": LAST, "recorded_at": LAST}, {}),
        (Reason.WITHIN_WINDOW, True, {"service_provided_at": LAST, "received_at": LAST, "recorded_at": LAST + timedelta(6), "entered_by_supervisor": True}, {}),
        (Reason.WITHIN_WINDOW, True, {"service_provided_at": UNKNOWN, "received_at": UNKNOWN, "deadline_accepted": True}, {}),
        (Reason.WITHIN_WINDOW, True, {"service_provided_at": LAST, "received_at": LAST}, {}),
        (Reason.WINDOW_ELAPSED, False, {"received_at": LATE, "told_until": LATE + timedelta(1)}, {}),
        (Reason.WINDOW_ELAPSED, False, {"received_at": LATE, "told_until": LATE, "deadline_accepted": True}, {}),
        (Reason.WITHIN_WINDOW, True, {"received_at": LATE, "told_until": LATE + timedelta(1), "deadline_accepted": True}, {}),
        (Reason.WITHIN_WINDOW, True, {"received_at": LATE + MICROSECOND, "told_until": LATE + timedelta(1), "deadline_accepted": True}, {}),
        (Reason.WINDOW_ELAPSED, False, {"received_at": LATE + timedelta(2), "told_until": LATE + timedelta(1), "deadline_accepted": True}, {}),
        (Reason.SERVICE_NOT_YET_PROVIDED, True, {"received_at": LONG_BEFORE, "recorded_at": PROVIDED - MICROSECOND}, {}),
        (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, False, {"received_at": LONG_BEFORE, "recorded_at": PROVIDED}, {}),
        (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, False, {**WITHDRAWN, "received_at": LATE}, {}),
        (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, False, {**WITHDRAWN, "service_provided_at": UNKNOWN, "received_at": UNKNOWN}, {}),
        (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, False, {**WITHDRAWN, "recorded_at": RECORDED_LATE}, {}),
        (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, False, {**WITHDRAWN, "recorded_at": LATE, "without_ticket": True}, {}),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "recorded_at": IN_TIME, "without_ticket": True}, {}),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "recorded_at": LATE}, {}),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "recorded_at": LATE, "without_ticket": True}, {"evidence_after_deadline": False}),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "received_at": LATE, "sent_at": IN_TIME}, {}),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "channel": Channel.POST}, NOTHING),
        (Reason.WITHIN_WINDOW, True, {**WITHDRAWN, "channel": Channel.PHONE, "contact_point": OTHER}, PHONE),
        (Reason.SERVICE_NOT_YET_PROVIDED, True, {**WITHDRAWN, "service_provided_at": None, "without_ticket": True}, {}),
        (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, False, {**WITHDRAWN, "received_at": PROVIDED - MICROSECOND, "recorded_at": LATE, "without_ticket": True}, {}),
        (Reason.ORDER_ALREADY_CANCELLED, False, {**WITHDRAWN, "cancelled": True, "received_at": LATE}, {}),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {"channel": Channel.POST}, {}),
        (Reason.WITHIN_WINDOW, True, {"recorded_at": RECORDED_LATE}, {"late_entry_days": 6}),
        (Reason.WITHIN_WINDOW, True, {"recorded_at": RECORDED_LATE, "entered_by_supervisor": True}, {}),
        (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, False, {**BEFORE, "recorded_at": SHORT_DATE_ENDS}, TEHRAN[1]),
        (Reason.WITHIN_WINDOW, True, {**BEFORE, "recorded_at": SHORT_DATE_ENDS}, TEHRAN[2]),
        (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, False, {**BEFORE, "recorded_at": NEXT_DATE_ENDS}, TEHRAN[2]),
        # precedence: each pair of neighbours together
        (Reason.ORDER_ALREADY_CANCELLED, False, {"cancelled": True, "channel": Channel.PHONE}, NO_PHONE),
        (Reason.CHANNEL_NOT_ACCEPTED, False, {"channel": Channel.PHONE, "contact_point": OTHER}, NO_PHONE),
        (
            Reason.UNOFFICIAL_CONTACT_POINT,
            False,
            {"channel": Channel.PHONE, "contact_point": OTHER, "service_provided_at": None},
            PHONE,
        ),
        (Reason.UNOFFICIAL_CONTACT_POINT, False, {"channel": Channel.PHONE, "contact_point": OTHER, "received_at": LATE}, PHONE),
        (Reason.SERVICE_NOT_YET_PROVIDED, True, {"service_provided_at": None, "recorded_at": LATE + timedelta(99)}, {}),
        (Reason.WINDOW_ELAPSED, False, {"received_at": LATE, "recorded_at": LATE + timedelta(days=99)}, {}),
    ],
)  # fmt: skip
def test_the_first_reason_that_applies_decides(reason, eligible, facts, terms):
    decision = judged(facts, terms)
    assert (decision.reason, decision.eligible) == (reason, eligible)


def test_every_reason_has_a_row():
    rows = test_the_first_reason_that_applies_decides.pytestmark[0].args[1]
    assert {row[0] for row in rows} == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_verdict_follows_from_the_reason(reason):
    supervisors = {
        Reason.UNOFFICIAL_CONTACT_POINT, Reason.CALENDAR_UNKNOWN, Reason.LATE_ENTRY_NEEDS_SUPERVISOR,
        Reason.WITHDRAWAL_NEEDS_SUPERVISOR,
    }  # fmt: skip
    outcome = judged().outcome._replace(reason=reason)
    assert outcome.eligible is (outcome.verdict is Verdict.CANCELLABLE)
    assert (reason in supervisors) is (outcome.verdict is Verdict.NEEDS_SUPERVISOR)


def test_a_notice_can_turn_a_refusal_over_to_a_supervisor(monkeypatch):
    row = (Reason.WINDOW_ELAPSED, Notice.FACTS_CORRECTED_AFTER_REFUSAL)
    monkeypatch.setattr(outcomes, "_FOR_SUPERVISORS", (row,))
    elapsed = judged().outcome._replace(reason=Reason.WINDOW_ELAPSED, notices=())
    assert elapsed.verdict is Verdict.REFUSED
    assert elapsed._replace(notices=(row[1],)).verdict is Verdict.NEEDS_SUPERVISOR


def test_the_time_of_sending_decides_if_the_policy_says_so():
    sent = {"sent_at": IN_TIME, "received_at": LATE}
    assert judged(sent).reason is Reason.WINDOW_ELAPSED
    by_sent = judged(sent, {"timely_by": TimelyBy.SENT})
    assert (by_sent.reason, by_sent.requested_at) == (Reason.WITHIN_WINDOW, IN_TIME)
    assert judged({"received_at": LATE}, {"timely_by": TimelyBy.SENT}).reason is Reason.WINDOW_ELAPSED


def test_the_time_of_entry_never_decides_timeliness():
    assert judged(recorded_at=LATE + timedelta(hours=1)).reason is Reason.WITHIN_WINDOW


def test_the_official_contact_points_of_the_version_at_the_contact_count_too():
    older = PolicyVersion("brand", 1, None, Terms(phone=ContactChannel(points=(OTHER,))))
    newer = PolicyVersion("brand", 2, None, Terms(phone=ContactChannel(points=(OFFICIAL,))))
    calendar = business_calendar("DE", Terms().business_week)
    for point in (OFFICIAL, OTHER):
        facts = Facts(service_provided_at=PROVIDED, received_at=IN_TIME, channel=Channel.PHONE, contact_point=point)
        assert decide(facts, older, calendar, newer).eligible
    facts = Facts(service_provided_at=PROVIDED, received_at=IN_TIME, channel=Channel.PHONE, contact_point="+4940123456")
    assert decide(facts, older, calendar, newer).reason is Reason.UNOFFICIAL_CONTACT_POINT


def test_no_contact_point_is_checked_if_one_of_the_versions_names_none():
    named = PolicyVersion("brand", 1, None, Terms(phone=ContactChannel(points=(OFFICIAL,))))
    unnamed = PolicyVersion("brand", 2, None, Terms())
    calendar = business_calendar("DE", Terms().business_week)
    facts = Facts(service_provided_at=PROVIDED, received_at=IN_TIME, channel=Channel.PHONE, contact_point=OTHER)
    for judging, at_contact in ((named, unnamed), (unnamed, named)):
        decision = decide(facts, judging, calendar, at_contact)
        assert decision.eligible
        assert Notice.CONTACT_POINT_UNCHECKED in decision.notices


def test_a_service_not_yet_provided_has_no_window():
    decision = judged(service_provided_at=None)
    assert (decision.window, decision.deadline, decision.outcome.days) == (None, None, ())
    assert not decision.kept
    assert decision.outcome.business_days_left is None
    assert decision.outcome.fingerprint is None


@pytest.mark.parametrize(
    ("requested", "left"),
    [
        ("2026-04-02T23:00:00+02:00", 2),
        ("2026-04-05T12:00:00+02:00", 2),
        ("2026-04-07T00:00:00+02:00", 1),
        ("2026-04-07T22:30:00Z", 0),
        ("2026-04-08T23:59:59.999999+02:00", 0),
        ("2026-04-09T00:00:00+02:00", None),
    ],
)
def test_days_left_are_counted_from_the_local_date_of_the_request(requested, left):
    assert judged(received_at=parse_instant(requested)).outcome.business_days_left == left


@pytest.mark.parametrize(
    ("notice", "facts", "terms"),
    [
        (Notice.CONTACT_POINT_UNCHECKED, {"channel": Channel.PHONE, "contact_point": OTHER}, {}),
        (Notice.NATIONWIDE_HOLIDAYS_ONLY, {}, {"region": "DE"}),
        (Notice.ESTIMATED_HOLIDAY, {"service_provided_at": parse_instant("2027-03-08T10:00:00+04:00"), "received_at": parse_instant("2027-03-08T11:00:00+04:00")}, {"region": "AE"}),
        (Notice.STATUTORY_RIGHTS_NOT_ASSESSED, {}, {}),
    ],
)  # fmt: skip
def test_each_notice_is_given_when_it_applies(notice, facts, terms):
    plain = {Notice.STATUTORY_RIGHTS_NOT_ASSESSED}
    terms = Terms(**{"region": "DE-BY"} | terms)
    calendar = business_calendar(terms.region, terms.business_week)
    facts = Facts(**{"service_provided_at": PROVIDED, "received_at": IN_TIME} | facts)
    assert set(decide(facts, PolicyVersion("brand", 1, None, terms), calendar).notices) == plain | {notice}


def test_a_country_without_subdivisions_needs_no_notice():
    calendar = business_calendar("LU", Terms().business_week)
    facts = Facts(service_provided_at=PROVIDED, received_at=IN_TIME)
    decision = decide(facts, PolicyVersion("brand", 1, None, Terms(region="LU")), calendar)
    assert Notice.NATIONWIDE_HOLIDAYS_ONLY not in decision.notices


def test_the_fingerprint_depends_only_on_the_calendar():
    assert judged().outcome.fingerprint == judged(received_at=LATE).outcome.fingerprint
    assert judged().outcome.fingerprint == "7924896711d4ab13"
    closed = judged(terms={"closures": (date(2026, 4, 8),)})
    assert closed.outcome.fingerprint != judged().outcome.fingerprint


def test_a_record_contains_everything_the_decision_depends_on():
    """A decision that is made again from its record is the same."""
    made = judged(channel=Channel.PHONE, contact_point=OTHER, terms={"closures": (date(2026, 4, 7),)})
    recorded = load_decision(dump_decision(made.recorded))
    facts, outcome = recorded.facts, recorded.outcome
    assert recorded == made.recorded
    calendar = business_calendar(outcome.region, Terms().business_week)
    again = decide(
        facts,
        made.version,
        calendar.closed_on(recorded.closures),
    )
    assert again.recorded == made.recorded
    assert (outcome.policy, outcome.version, outcome.time_zone) == ("brand", 1, "Europe/Berlin")
    assert outcome.holidays_version
    assert outcome.tzdata_version
    assert (facts.sent_at, facts.recorded_at) == (None, None)


def test_a_record_without_a_window_is_read_back_unchanged():
    made = judged(service_provided_at=None)
    assert load_decision(dump_decision(to_record(made))) == to_record(made) == made.recorded


def test_a_record_names_every_holiday_of_its_window_and_no_other_day():
    """Also a holiday that only the end week passes over, but none that is on a weekend."""
    terms = Terms(region="DE-BY", business_week=WEEKDAYS[:6], end_week=WEEKDAYS[:5])
    calendar = business_calendar("DE-BY", terms.business_week, terms.end_week).closed_on([date(2026, 4, 7)])
    facts = Facts(service_provided_at=parse_instant("2026-04-01T10:00:00Z"), received_at=IN_TIME)
    made = decide(facts, PolicyVersion("brand", 1, None, terms), calendar)
    assert (made.day_codes, made.outcome.names) == (b"bhbWHXe", {})
    kept = to_record(made)
    assert kept.outcome.names == {
        date(2026, 4, 3): {"en": ("Good Friday", "en"), "de": ("Karfreitag", "de")},
        date(2026, 4, 6): {"en": ("Easter Monday", "en"), "de": ("Ostermontag", "de")},
    }
    assert load_decision(dump_decision(kept)) == kept


@pytest.mark.parametrize(
    "names",
    [
        "x",
        ["2026-04-03"],
        {"Friday": {}},
        {"2026-04-03": "x"},
        {"2026-04-03": {"de": 1}},
        {"2026-04-03": {"de": ["x"]}},
    ],
)
def test_names_that_the_service_has_not_written_cannot_be_loaded(names):
    stored = json.loads(dump_decision(to_record(judged())))
    stored["outcome"]["names"] = names
    with pytest.raises((ValueError, LookupError, TypeError)):
        load_decision(json.dumps(stored))


def test_an_unofficial_contact_point_counts_once_it_is_accepted():
    terms = {"phone": ContactChannel(points=(OFFICIAL,))}
    requested = {"channel": Channel.PHONE, "contact_point": OTHER}
    assert judged(requested, terms).reason is Reason.UNOFFICIAL_CONTACT_POINT
    assert judged(requested, terms, contact_point_accepted=True).reason is Reason.WITHIN_WINDOW
    assert judged(requested, terms, contact_point_accepted=True, received_at=LATE).reason is Reason.WINDOW_ELAPSED


def test_a_window_beyond_the_data_is_an_error_of_a_mere_check():
    with pytest.raises(CalendarNotCovered):
        judged(
            service_provided_at=parse_instant("2100-12-30T10:00:00Z"),
            received_at=parse_instant("2101-01-01T00:00:00Z"),
            of_order=False,
        )
    made = judged()
    with pytest.raises(CalendarNotCovered):
        decide(made.facts._replace(service_provided_at=parse_instant("1990-12-28T10:00:00Z")), made.version, made.known)


def test_instants_beyond_the_data_are_allowed_outside_the_window():
    assert judged(service_provided_at=parse_instant("9999-12-31T23:59:59Z")).reason is Reason.SERVICE_NOT_YET_PROVIDED
    assert judged(received_at=parse_instant("9999-12-31T23:59:59Z")).reason is Reason.WINDOW_ELAPSED


def test_the_deadline_does_not_depend_on_the_offset_of_the_instant():
    for written in ("2026-04-02T16:20:00+02:00", "2026-04-02T14:20:00Z", "2026-04-03T04:20:00+14:00"):
        decision = judged(service_provided_at=parse_instant(written))
        assert decision.deadline == DEADLINE == end_of_day(date(2026, 4, 8), zone("Europe/Berlin"))


@pytest.mark.parametrize(
    ("recorded_at", "supervisor", "reason", "backdated"),
    [
        ("2026-04-02T14:00:00Z", False, Reason.SERVICE_NOT_YET_PROVIDED, False),
        ("2026-04-08T21:59:59Z", False, Reason.SERVICE_NOT_YET_PROVIDED, False),
        ("2026-04-08T22:00:00Z", False, Reason.SERVICE_NOT_YET_PROVIDED, True),
        ("2026-04-13T21:59:59Z", False, Reason.SERVICE_NOT_YET_PROVIDED, True),
        ("2026-04-13T22:00:00Z", False, Reason.LATE_ENTRY_NEEDS_SUPERVISOR, True),
        ("2026-04-13T22:00:00Z", True, Reason.SERVICE_NOT_YET_PROVIDED, True),
    ],
)
def test_a_request_before_the_service_can_be_entered_late_too(recorded_at, supervisor, reason, backdated):
    """The window ends on the 8th; the fifth business day after the 2nd is the 13th."""
    decision = judged(
        received_at=parse_instant("2026-04-02T12:00:00Z"),
        recorded_at=parse_instant(recorded_at),
        entered_by_supervisor=supervisor,
    )
    assert (decision.reason, decision.backdated) == (reason, backdated)


@pytest.mark.parametrize(
    ("facts", "backdated"),
    [
        ({"recorded_at": IN_TIME}, False),
        ({"recorded_at": LATE}, True),
        ({"received_at": LATE, "recorded_at": LATE}, False),
        ({"received_at": LATE + MICROSECOND, "recorded_at": LATE + timedelta(1)}, False),
        ({"service_provided_at": UNKNOWN, "received_at": UNKNOWN, "recorded_at": UNKNOWN + timedelta(99)}, False),
    ],
)
def test_a_request_is_backdated_if_it_is_made_before_the_deadline_and_entered_at_it_or_later(facts, backdated):
    assert judged(facts).backdated is backdated


@pytest.mark.parametrize(
    ("requested", "told"),
    [(IN_TIME, False), (LATE, True), (LATE + timedelta(1), True), (LATE + timedelta(2), False), (LATE + timedelta(3), False)],
)  # fmt: skip
def test_a_deadline_told_before_a_correction_is_noticed_only_if_the_request_was_late_but_before_it(requested, told):
    decision = judged(received_at=requested, told_until=LATE + timedelta(2))
    assert (Notice.TOLD_BEFORE_CORRECTION in decision.notices) is told


def test_a_request_for_a_service_not_yet_provided_is_never_late():
    decision = judged(service_provided_at=None, received_at=PROVIDED, recorded_at=PROVIDED + timedelta(days=300))
    assert (decision.reason, decision.backdated) == (Reason.SERVICE_NOT_YET_PROVIDED, False)


def test_a_decision_that_was_stored_long_ago_can_be_loaded():
    """Never edit this sample: such records exist."""
    stored = json.loads(
        '{"reason":"window_elapsed","requested_at":"2026-04-08T22:00:00Z","channel":"phone","policy":"virtual-numbers",'
        '"version":1,"overridden":[],"late_entry_days":5,"time_zone":"Europe/Berlin","region":"DE-BY",'
        '"holidays_version":"0.109","tzdata_version":"2026f","fingerprint":"7924896711d4ab13",'
        '"notices":["statutory_rights_not_assessed"],"window":["2026-04-02",2,"2026-04-08"],"letters":"hwwhbb",'
        '"deadline":"2026-04-08T22:00:00Z","business_days_left":null}'
    )
    outcome = OUTCOME.load(stored)
    assert (outcome.eligible, outcome.deadline, outcome.names) == (False, DEADLINE, {})
    assert [day.ordinal for day in outcome.days if day.ordinal] == [1, 2]


def test_a_decision_says_if_no_service_date_is_on_record():
    assert Notice.NO_SERVICE_DATE in judged(service_provided_at=None).notices
    assert Notice.NO_SERVICE_DATE not in judged(received_at=PROVIDED - MICROSECOND).notices
    made = judged(service_provided_at=None)
    by_edition = [decide(made.facts, made.version, made.known, edition=edition).notices for edition in (1, 2, 3, 4)]
    assert [Notice.NO_SERVICE_DATE in notices for notices in by_edition] == [False, True, True, True]


def test_a_decision_by_an_earlier_edition_of_the_rules_is_made_again_by_that_edition():
    stored = dump_decision(to_record(judged(service_provided_at=None)))
    assert load_decision(stored).edition == 4
    assert load_decision(stored.replace('"edition":4', '"edition":1')).edition == 1
    earlier = stored.replace(',"edition":4', "").replace('"no_service_date",', "")
    assert load_decision(earlier).edition == 1
    assert dump_decision(load_decision(earlier)) == earlier
    again = decide(load_decision(earlier).facts, judged().version, judged().calendar, edition=1)
    assert again.outcome == load_decision(earlier).outcome

"""An answer that is kept for equal questions is the one that would be written again, byte for byte."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refunds.domain import judging
from refunds.domain.business_days import Window, fingerprint_of
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import decide
from refunds.domain.instants import parse_instant
from refunds.domain.outcomes import Facts, Notice, Outcome, Reason
from refunds.domain.policy import Closures, PolicyVersion
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.terms import ContactChannel, Terms, TimelyBy, WithoutSubdivision
from refunds.presentation import decisions
from refunds.presentation.decisions import decision_json
from refunds.presentation.language import LANGUAGES, speaking
from tests import scaled

BEGIN = parse_instant("2026-04-01T10:00:00+02:00")
"""Two days before Good Friday."""
HOURS = st.integers(-48, 14 * 24).map(lambda hours: BEGIN + timedelta(hours=hours))
FEW_DATES = st.lists(st.sampled_from([date(2026, 4, day) for day in range(1, 20)]), max_size=2, unique=True).map(tuple)

TERMS = st.builds(
    Terms,
    window_business_days=st.sampled_from([1, 2, 3, 70]),
    business_week=st.sampled_from([WEEKDAYS[:5], WEEKDAYS[:6], "country"]),
    end_week=st.sampled_from([None, WEEKDAYS[:5]]),
    region=st.sampled_from(["DE", "DE-BY", "DE-BE", "FR", "CH", "IN-MH"]),
    time_zone=st.sampled_from(["Europe/Berlin", "Asia/Tokyo"]),
    closures=FEW_DATES,
    timely_by=st.sampled_from(TimelyBy),
    phone=st.builds(ContactChannel, accepted=st.booleans(), points=st.sampled_from([(), ("+493012345678",)])),
    email=st.builds(ContactChannel, accepted=st.booleans()),
    late_entry_days=st.sampled_from([1, 2, 5]),
    without_subdivision=st.sampled_from(WithoutSubdivision),
)
FACTS = st.builds(
    Facts,
    service_provided_at=st.none() | HOURS,
    received_at=HOURS,
    sent_at=st.none() | HOURS,
    recorded_at=st.none() | HOURS,
    channel=st.none() | st.sampled_from(Channel),
    contact_point=st.sampled_from([None, "+493012345678", "+493087654321"]),
    cancelled=st.sampled_from([False, False, True]),
    told_until=st.none() | HOURS,
    deadline_accepted=st.booleans(),
    withdrawal=st.booleans(),
    without_ticket=st.booleans(),
    named_region=st.sampled_from([None, "DE-BY-09162"]),
)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    """The outcome for random facts, by a random version with closures entered later, and perhaps a promise."""
    entered = Closures(tuple((day, BEGIN) for day in draw(FEW_DATES)))
    terms = draw(TERMS)
    version = PolicyVersion(draw(st.sampled_from(["one", "two"])), draw(st.integers(1, 2)), None, terms)
    version = replace(version, closures=entered, overridden=draw(st.sampled_from([(), (), ("closures",)])))
    facts, told = draw(FACTS), None
    if draw(st.booleans()) and facts.service_provided_at:
        before = replace(version, terms=replace(terms, region=draw(st.sampled_from(["DE-BY", "FR"]))))
        provided = Facts(service_provided_at=facts.service_provided_at, received_at=facts.service_provided_at)
        told = decide(provided, before, judging.calendar_of(before), of_order=True).told
    edition = draw(st.sampled_from([1, 2, 3, 4]))
    return decide(facts, version, judging.calendar_of(version), promise=told, of_order=True, edition=edition).outcome


ASKED = st.lists(
    st.tuples(outcomes(), st.sampled_from([None, "con_1"]), st.booleans(), st.sampled_from(LANGUAGES)), max_size=8
)


def written_again(outcome: Outcome, request: str | None, *, with_days: bool) -> bytes:
    """The answer, written without what is kept."""
    before, after = decisions._written(outcome, with_days)
    instant = outcome.requested_at.strftime("%Y-%m-%dT%H:%M:%S.%f").removesuffix(".000000") + "Z"
    return before + f'"{instant}"'.encode() + after + (f'"{request}"' if request else "null").encode() + b"}"


def is_as_written_again(outcome: Outcome, request: str | None, with_days: bool, language: str) -> bool:
    with speaking(language):
        return decision_json(outcome, request, with_days=with_days) == written_again(
            outcome, request, with_days=with_days
        )


@pytest.mark.proof
@settings(max_examples=scaled(50, 1000), deadline=None)
@given(ASKED)
def test_a_kept_answer_is_the_one_that_is_written_again(asked):
    assert all(is_as_written_again(*one) for one in asked)


def outcome(**changed: object) -> Outcome:
    """An outcome in time, over Easter."""
    terms = Terms(region="DE-BY")
    facts = Facts(service_provided_at=BEGIN, received_at=BEGIN + timedelta(hours=1), channel=Channel.PHONE)
    version = PolicyVersion("brand", 1, None, terms)
    return decide(facts, version, judging.calendar_of(version)).outcome._replace(**changed)


REFUSED = {"reason": Reason.CHANNEL_NOT_ACCEPTED}
LATE = {"reason": Reason.LATE_ENTRY_NEEDS_SUPERVISOR}
PAIRS = {
    "reason": (outcome(), outcome(reason=Reason.WINDOW_ELAPSED)),
    "channel": (outcome(**REFUSED), outcome(channel=Channel.EMAIL, **REFUSED)),
    "policy": (outcome(), outcome(policy="another")),
    "version": (outcome(), outcome(version=2)),
    "late_entry_days": (outcome(**LATE), outcome(late_entry_days=2, **LATE)),
    "time_zone": (outcome(), outcome(time_zone="Europe/London")),
    "region": (outcome(), outcome(region="DE-BE")),
    "holidays_version": (outcome(), outcome(holidays_version="another")),
    "tzdata_version": (outcome(), outcome(tzdata_version="another")),
    "fingerprint": (outcome(), outcome(fingerprint="another")),
    "notices": (outcome(), outcome(notices=(Notice.PROMISE_KEPT,))),
    "window": (outcome(), outcome(window=Window(date(2026, 4, 1), 3, date(2026, 4, 7)))),
    "day_codes": (outcome(), outcome(day_codes=b"bhwxb")),
    "deadline": (outcome(), outcome(deadline=BEGIN)),
    "business_days_left": (outcome(), outcome(business_days_left=0)),
}
"""For each part of an outcome that can be kept, two that differ in it alone."""

NOT_KEPT = {"requested_at", "overridden", "names"}
"""The instant is put in afterwards. Outcomes with the others are not kept at all."""

QUESTIONS = {
    **{part: [(one, True, "en") for one in pair] for part, pair in PAIRS.items()},
    "with_days": [(outcome(), days, "en") for days in (True, False)],
    "language": [(outcome(), True, language) for language in LANGUAGES],
}


def kept_without(part):
    """What would be kept if a part of the questions were left out: the first answer for each question without it."""
    names = [name for name in Outcome._fields if name not in {"requested_at", "names"}] + ["language", "with_days"]
    found, write = {}, decisions._cached_parts.__wrapped__

    def kept(stated, *others):
        key = tuple(value for name, value in zip(names, (*stated, *others), strict=True) if name != part)
        if key not in found:
            found[key] = write(stated, *others)
        return found[key]

    return kept


def all_as_written_again(questions):
    return all(is_as_written_again(one, None, with_days, language) for one, with_days, language in questions)


@pytest.mark.parametrize("part", QUESTIONS)
def test_no_part_of_the_question_can_be_left_out(part, monkeypatch):
    assert all_as_written_again(QUESTIONS[part])
    monkeypatch.setattr(decisions, "_cached_parts", kept_without(part))
    assert not all_as_written_again(QUESTIONS[part])


def test_every_part_of_an_outcome_is_tried():
    assert PAIRS.keys() | NOT_KEPT == set(Outcome._fields)


def test_what_if_answers_long_ones_and_those_with_names_are_not_kept():
    named = {date(2026, 4, 3): {"en": ("Good Friday", "en")}}
    codes = b"b" * 63
    other = {"day_codes": codes, "fingerprint": fingerprint_of(date(2026, 4, 1), codes)}
    decisions._cached_parts.cache_clear()
    for changed in ({"overridden": ("closures",)}, {"names": named}, other):
        assert is_as_written_again(outcome(**changed), None, True, "en")
    assert decisions._cached_parts.cache_info().currsize == 0


def test_threads_that_speak_different_languages_share_what_is_kept():
    questions = list(product([one for pair in PAIRS.values() for one in pair], [None], [True, False], LANGUAGES))
    decisions._cached_parts.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda question: is_as_written_again(*question), questions * 4))

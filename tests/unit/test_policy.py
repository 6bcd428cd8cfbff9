"""Policy files, versions, and which of them is in force."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.instants import parse_instant
from refunds.domain.policy import Difference, PolicyVersion, differences, policy_of
from refunds.domain.terms import TERM_NAMES, JudgedBy, Terms
from refunds.errors import InvalidInput, NoPolicyInForce, NotFound
from refunds.schemas.policy import TermsSchema, policy_file, read_policy, read_policy_file, version_data

HEAD = 'policy = "brand"\nversion = 1\n'
FIRST = parse_instant("2026-01-01T00:00:00+01:00")
SECOND = parse_instant("2026-07-01T00:00:00+02:00")


def version(number, effective_from, **terms):
    return PolicyVersion("brand", number, effective_from, Terms(**terms))


def test_the_packaged_policy_has_the_terms_of_the_vendor(packaged):
    assert (packaged.policy_id, packaged.version, packaged.effective_from) == ("virtual-numbers", 1, None)
    terms = packaged.terms
    assert terms.window_business_days == 2
    assert terms.business_week == ("mon", "tue", "wed", "thu", "fri")
    accepted = [channel for channel in Channel if terms.channel(channel).accepted]
    assert accepted == [Channel.PHONE, Channel.EMAIL]
    assert "2 Werktagen (Montag bis Freitag)" in terms.texts.de
    assert "2 business days (Monday to Friday)" in terms.texts.en


def test_every_term_of_a_file_has_a_default():
    assert read_policy(HEAD).terms == Terms()


def test_every_term_is_read_from_a_file():
    text = (
        HEAD
        + """
effective_from = 2026-05-01T00:00:00+02:00
window_business_days = 3
business_week = ["sat", "mon", "tue"]
end_week = "country"
region = "DE-Augsburg"
follow_order_region = false
time_zone = "Europe/Vienna"
closures = [2026-12-24, "2026-12-31"]
timely_by = "sent"
judged_by = "ordered"
late_entry_days = 7
evidence_after_deadline = false
refund_due_days = 30
vendor_name = "Example"
page_url = "https://example.com/refunds"
page_published_at = 2026-04-30T12:00:00Z
without_subdivision = "any"
period_law_days = false
keep_details_months = 6
keep_cancelled_years = 6
keep_contacted_years = 4
keep_ordered_years = 1
keep_others_years = 5
[phone]
accepted = false
[email]
points = ["Help@Example.com", "help@example.com"]
[texts]
de = "Klausel"
en = "Clause"
"""
    )
    terms = read_policy(text).terms
    assert terms.business_week == ("mon", "tue", "sat")
    assert terms.closures == (date(2026, 12, 24), date(2026, 12, 31))
    assert terms.email.points == ("help@example.com",), "compared without case"
    assert not terms.phone.accepted
    changed = {f.name for f in fields(Terms) if getattr(terms, f.name) != getattr(Terms(), f.name)}
    assert changed == set(TERM_NAMES)


def test_a_file_may_begin_with_the_mark_of_some_editors_that_it_is_utf_8(tmp_path):
    (tmp_path / "brand.toml").write_text(HEAD, encoding="utf-8-sig")
    assert read_policy_file(tmp_path / "brand.toml") == read_policy(HEAD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phone", "at the end of the text: not TOML"),
        ("region = 'DE'\nregion = 'AT'\n", "line 4, column 14: not TOML"),
        ("version = " + "1" * 5_000, "not TOML"),
    ],
)
def test_a_text_that_is_not_toml_is_an_error_with_its_place_and_without_the_parsers_words(text, said):
    with pytest.raises(InvalidInput) as error:
        read_policy(HEAD + text)
    (found,) = error.value.errors
    sentence = "each line is like window_business_days = 2, no name comes twice, and a text is in quotation marks"
    assert found.detail == f"{said}: {sentence}"


@pytest.mark.parametrize(
    ("text", "place", "fix"),
    [
        ("window_business_days = 0", "/window_business_days", "from 1 to 366"),
        ("window_business_days = 100000", "/window_business_days", "from 1 to 366"),
        ('window_business_days = "2"', "/window_business_days", "whole number"),
        ("keep_cancelled_years = 0", "/keep_cancelled_years", "from 1 to 30"),
        ("keep_cancelled_years = 1000", "/keep_cancelled_years", "from 1 to 30"),
        ("keep_details_months = 0", "/keep_details_months", "from 1 to 120"),
        ("window_business_days = true", "/window_business_days", "whole number"),
        ("window_days = 2", "/window_days", "the terms are window_business_days"),
        ('closures = ["2026-02-30"]', "/closures/0", "no such date"),
        ('closures = ["soon"]', "/closures/0", "write it as 2026-12-24"),
        ("closures = [2026-12-24T00:00:00Z]", "/closures/0", "must be a date"),
        ("closures = 2026-12-24", "/closures", "must be a list"),
        ("closures = [2026-02-30]", "", "line 3, column 13: not TOML: each line is like"),
        ("effective_from = 2026-01-01T00:00:00", "/effective_from", "needs its offset"),
        ("effective_from = 2026-01-01", "/effective_from", "must be a date-time"),
        ('time_zone = "Europe/Berln"', "/time_zone", "IANA name"),
        ("time_zone = 1", "/time_zone", "IANA"),
        ("business_week = []", "/business_week", '["country"] or a list'),
        ('business_week = ["monday"]', "/business_week", "mon, tue"),
        ('business_week = ["mon", "mon"]', "/business_week", "once"),
        ('end_week = "mon"', "/end_week", '["country"] or a list'),
        ('timely_by = "posted"', "/timely_by", "received, sent"),
        ("follow_order_region = 1", "/follow_order_region", "true or false"),
        ("phone = true", "/phone", "must be an object"),
        ("[phone]\npoint = []", "/phone/point", "unknown field: remove it, or check its spelling"),
        ('[phone]\npoints = ["030 123456"]', "/phone/points/0", "telephone number with its country code, such as +49"),
        ('[email]\npoints = ["nobody"]', "/email/points/0", "e-mail address"),
        ('page_url = "javascript:alert(1)"', "/page_url", "http"),
        ('vendor_name = ""', "/vendor_name", "1 to 200"),
        ('vendor_name = "a\\u0000b"', "/vendor_name", "control characters"),
    ],
)
def test_an_invalid_file_is_refused_with_a_hint(text, place, fix):
    with pytest.raises(InvalidInput) as error:
        read_policy(HEAD + text)
    assert [field_error.pointer for field_error in error.value.errors] == [place]
    assert fix in error.value.errors[0].detail


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version = 1", "/policy"),
        ('policy = "brand"', "/version"),
        ('policy = "Brand X"\nversion = 1', "/policy"),
        ('policy = "brand"\nversion = 0', "/version"),
        ("policy =", ""),
    ],
)
def test_a_file_must_name_its_policy_and_version(text, place):
    with pytest.raises(InvalidInput) as error:
        read_policy(text)
    assert error.value.errors[0].pointer == place


def test_all_errors_of_a_file_are_reported_together():
    with pytest.raises(InvalidInput) as error:
        read_policy(HEAD + "window_business_days = 0\ntime_zone = 'x'\nfoo = 1")
    assert [field_error.pointer for field_error in error.value.errors] == [
        "/window_business_days",
        "/time_zone",
        "/foo",
    ]


def test_the_newer_version_is_in_force_from_its_very_first_instant():
    policy = policy_of([version(2, SECOND), version(1, FIRST)])
    assert policy.in_force(FIRST).version == 1
    assert policy.in_force(SECOND - timedelta(microseconds=1)).version == 1
    assert policy.in_force(SECOND).version == 2


def test_each_of_many_versions_has_its_time_and_its_number():
    starts = [FIRST + timedelta(days=n) for n in range(5)]
    policy = policy_of([version(number, start) for number, start in enumerate(starts, 1)])
    assert [policy.in_force(start).version for start in starts] == [1, 2, 3, 4, 5]
    assert [policy.version(number).effective_at for number in (1, 2, 3, 4, 5)] == starts


def test_before_the_first_version_no_policy_is_in_force():
    policy = policy_of([version(1, FIRST)])
    with pytest.raises(NoPolicyInForce) as error:
        policy.in_force(FIRST - timedelta(microseconds=1))
    assert error.value.first == FIRST


def test_version_1_may_be_in_force_from_the_beginning():
    policy = policy_of([version(1, None), version(2, SECOND)])
    assert policy.in_force(datetime.min.replace(tzinfo=UTC)).version == 1


@pytest.mark.parametrize(
    "versions",
    [
        [version(2, SECOND)],
        [version(1, FIRST), version(3, SECOND)],
        [version(1, FIRST), version(2, FIRST)],
        [version(1, SECOND), version(2, FIRST)],
        [version(1, FIRST), replace(version(1, FIRST), terms=Terms(window_business_days=3))],
    ],
)
def test_versions_must_be_numbered_from_1_and_in_order_of_date(versions):
    with pytest.raises(InvalidInput):
        policy_of(versions)


def test_a_withdrawn_version_is_never_in_force_and_keeps_its_number():
    policy = policy_of([version(1, FIRST), version(2, SECOND), version(3, SECOND)], {2})
    assert policy.in_force(SECOND - timedelta(microseconds=1)).version == 1
    assert policy.in_force(SECOND).version == 3
    assert policy.version(2).version == 2


def test_an_order_is_judged_by_the_version_in_force_when_its_service_was_provided():
    policy = policy_of([version(1, FIRST), version(2, SECOND)])
    requested = SECOND + timedelta(days=1)
    assert policy.applicable(requested, SECOND - timedelta(seconds=1)).version == 1
    assert policy.applicable(requested, SECOND).version == 2


def test_a_service_not_yet_provided_is_judged_by_the_version_in_force_at_the_request():
    policy = policy_of([version(1, FIRST), version(2, SECOND)])
    assert policy.applicable(SECOND - timedelta(days=1), None).version == 1
    assert policy.applicable(SECOND - timedelta(days=1), SECOND).version == 1


def test_the_time_of_the_order_decides_if_the_terms_say_so():
    policy = policy_of([version(1, FIRST), version(2, SECOND, judged_by=JudgedBy.ORDERED)])
    ordered, provided = SECOND - timedelta(days=1), SECOND + timedelta(days=1)
    requested = provided + timedelta(days=1)
    assert policy.applicable(requested, provided, ordered).version == 1
    assert policy.applicable(requested, provided).version == 2, "the time of the order is unknown"
    assert policy_of([version(1, FIRST), version(2, SECOND)]).applicable(requested, provided, ordered).version == 2


def test_a_what_if_replaces_single_terms_and_names_them(packaged):
    changed = packaged.what_if(TermsSchema().read({"window_business_days": 3, "region": "DE-BY"}))
    assert changed.overridden == ("window_business_days", "region")
    assert (changed.terms.window_business_days, changed.terms.region) == (3, "DE-BY")
    assert packaged.terms.window_business_days == 2


def test_the_data_of_a_version_can_be_read_back(packaged):
    data = version_data(packaged)
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in data["terms"].items()}
    assert TermsSchema().read(shown)["texts"].de == packaged.terms.texts.de


def test_the_file_of_a_version_is_read_as_that_version(packaged):
    for one in (packaged, version(2, SECOND, closures=(date(2026, 12, 24),), end_week="country", vendor_name='Ä\n"B')):
        assert read_policy(policy_file(one)) == one


def test_an_unknown_version_is_not_found():
    with pytest.raises(NotFound):
        policy_of([version(1, FIRST)]).version(2)


def test_a_version_differs_in_the_terms_that_have_another_value():
    before, after = Terms(region="DE", window_business_days=2), Terms(region="AT", window_business_days=2)
    assert differences(before, after) == [Difference("region", "DE", "AT")]
    assert differences(before, before) == []
    assert [(one.term, one.before, one.replaces) for one in differences(None, after)] == [
        (name, None, False) for name in TERM_NAMES
    ]


def test_the_current_version_is_that_in_force_or_else_the_first():
    versions = [version(1, FIRST), version(2, SECOND)]
    policy = policy_of(versions)
    moment = timedelta(microseconds=1)
    found = [policy.current(at).version for at in (FIRST - moment, FIRST, FIRST + moment, SECOND - moment, SECOND)]
    assert found == [1, 1, 1, 1, 2]
    assert policy.current(SECOND + moment).version == 2
    assert policy_of(versions, withdrawn={1, 2}).current(SECOND).version == 1


@pytest.mark.parametrize("numbers", [(1, 1), (0, 1), (2,), (1, 3)])
def test_versions_count_from_1_without_gap_or_repeat(numbers):
    starts = (FIRST, SECOND)
    with pytest.raises(InvalidInput, match="without gap or repeat"):
        policy_of([version(number, start) for number, start in zip(numbers, starts, strict=False)])


def test_a_service_is_provided_at_the_very_instant_of_a_request():
    policy = policy_of([version(1, FIRST), version(2, SECOND, judged_by=JudgedBy.ORDERED)])
    assert policy.applicable(SECOND, SECOND, FIRST).version == 1
    assert policy.applicable(SECOND, SECOND + timedelta(microseconds=1), FIRST).version == 2


def test_before_the_first_version_that_one_is_named():
    policy = policy_of([version(1, FIRST), version(2, SECOND)])
    with pytest.raises(NoPolicyInForce) as error:
        policy.in_force(FIRST - timedelta(microseconds=1))
    assert error.value.first == FIRST


@pytest.mark.parametrize("number", [-1, 0, 3])
def test_there_is_no_version_of_another_number(number):
    with pytest.raises(NotFound):
        policy_of([version(1, FIRST), version(2, SECOND)]).version(number)

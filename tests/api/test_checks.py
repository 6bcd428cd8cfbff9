"""Checks over HTTP: the vectors as what-ifs, the shape of the answer, languages, batches."""

import pytest
import time_machine

from refunds.domain.outcomes import Reason
from tests.conftest import KIND, ONCE, VECTORS, region, week

CHECK = {
    "service_provided_at": "2026-04-02T16:20:00+02:00",
    "requested_at": "2026-04-08T21:05:00Z",
    "channel": "phone",
    "region": "DE-BY",
}


def check(client, status=200, headers=None, **changed):
    """The answer to a check with some of its fields changed."""
    response = client.post("/v1/eligibility-checks", json=CHECK | changed, headers=headers)
    assert response.status_code == status, response.text
    return response.json


@ONCE
@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["id"])
def test_every_vector_is_answered_as_expected(client, case):
    """As a what-if on the packaged policy."""
    as_json = lambda mask: list(week(mask)) if mask not in (None, "country") else mask  # noqa: E731
    answer = client.post(
        "/v1/eligibility-checks",
        json={
            "service_provided_at": case["provided_at"],
            "requested_at": case["requested_at"],
            "terms": {
                "window_business_days": case["window_days"],
                "business_week": as_json(case["weekmask"]),
                "end_week": as_json(case["end_weekmask"]),
                "region": region(case),
                "time_zone": case["timezone"],
                "closures": case["company_closures"],
            },
        },
    ).json
    expected, window = case["expected"], answer["window"]
    assert answer["eligible"] is expected["eligible"]
    assert window["service_day"] == expected["provided_local_date"]
    assert window["first_counted_day"] == expected["first_counted_day"]
    assert window["last_day"] == expected["last_day"]
    assert window["deadline"] == expected["deadline_utc"]
    assert [day["date"] for day in answer["days"] if day["status"] == "counted"] == expected["counted_days"]
    assert [(day["date"], day["why"]) for day in answer["days"] if "why" in day] == [
        (day["date"], KIND[day["kind"]])
        for part in ("skipped_days", "extension_skipped_days")
        for day in expected[part]
    ]


def test_the_answer_explains_each_day_in_the_readers_language(client):
    answer = check(client, headers={"Accept-Language": "de-AT, en;q=0.5"})
    assert answer["reason_text"] == (
        "Die Bestellung kann bis Mittwoch, 8. April 2026, 24 Uhr (Ortszeit Berlin) storniert werden."
    )
    assert answer["days"][1] == {
        "date": "2026-04-03",
        "status": "skipped",
        "why": "public_holiday",
        "name": "Karfreitag",
        "name_language": "de",
    }
    assert check(client, headers={"Accept-Language": "fr"})["days"][1]["name"] == "Good Friday"


def test_codes_never_change_with_the_language(client):
    german, english = (check(client, headers={"Accept-Language": language}) for language in ("de", "en"))
    for answer in (german, english):
        del answer["reason_text"]
        for day in answer["days"]:
            day.pop("name", None)
            day.pop("name_language", None)
    assert german == english


@time_machine.travel("2026-04-07T10:00:00Z", tick=False)
def test_a_check_without_a_time_is_for_now(client):
    given = {name: value for name, value in CHECK.items() if name != "requested_at"}
    answer = client.post("/v1/eligibility-checks", json=given).json
    assert answer["requested_at"] == "2026-04-07T10:00:00Z"
    assert answer["window"]["business_days_left"] == 1


def test_a_service_not_yet_provided_has_no_window(client):
    answer = check(client, service_provided_at=None)
    assert (answer["eligible"], answer["reason"]) == (True, Reason.SERVICE_NOT_YET_PROVIDED)
    assert (answer["window"], answer["days"], answer["calendar"]["fingerprint"]) == (None, [], None)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "No date of provision is on record, so the order can be cancelled."),
        ("de", "Es ist kein Leistungsdatum erfasst, die Bestellung kann also storniert werden."),
    ],
)
def test_a_missing_date_of_provision_is_said_to_be_missing(client, language, text):
    answer = check(
        client, headers={"Accept-Language": language}, service_provided_at=None, requested_at="2030-01-01T00:00:00Z"
    )
    assert (answer["eligible"], answer["reason_text"]) == (True, text)
    assert answer["notices"] == ["no_service_date", "statutory_rights_not_assessed"]


@pytest.mark.parametrize("channel", [None, "phone", "email"])
def test_nothing_is_refundable_under_a_policy_that_accepts_no_channel(client, channel):
    terms = {name: {"accepted": False, "points": []} for name in ("phone", "email")}
    answer = check(client, terms=terms, channel=channel)
    assert (answer["eligible"], answer["reason"]) == (False, "channel_not_accepted")
    how = {None: "by telephone or by e-mail", "phone": "by telephone", "email": "by e-mail"}[channel]
    assert answer["reason_text"] == f"Under this policy an order cannot be cancelled {how}."


def test_a_what_if_names_the_terms_it_replaced(client):
    answer = check(client, terms={"window_business_days": 3, "region": "DE"})
    assert answer["policy"] == {
        "id": "virtual-numbers",
        "version": 1,
        "overridden": ["window_business_days", "region"],
    }
    assert answer["window"]["length"] == 3
    assert answer["calendar"]["region"] == "DE-BY", "the order's region is followed"


def test_a_policy_may_keep_to_its_own_region(client):
    answer = check(client, terms={"follow_order_region": False, "region": "DE-HH"})
    assert answer["calendar"]["region"] == "DE-HH"


@pytest.mark.parametrize("point", ["+49 30 123456-78", "030 12345678", "004930 12345678", "(030) 123456/78"])
def test_a_contact_point_is_compared_regardless_of_its_spelling(client, point):
    terms = {"phone": {"points": ["+493012345678"]}}
    assert check(client, contact_point=point, terms=terms)["reason"] == "within_window"
    assert check(client, contact_point="+49 30 999999", terms=terms)["reason"] == "unofficial_contact_point"


@pytest.mark.parametrize(
    ("channel", "point"),
    [("phone", "+4903012345678"), ("phone", "+5215512345678"), ("email", "info@xn--mnchen-3ya.de")],
)
def test_an_official_point_with_an_odd_spelling_matches_itself(client, channel, point):
    terms = {channel: {"points": [point]}}
    answer = check(client, channel=channel, contact_point=point, terms=terms)
    assert (answer["reason"], "contact_point_unchecked" in answer["notices"]) == ("within_window", False)


@pytest.mark.parametrize(
    "point", ["hello +493012345678", "+493012345678 hello", "+493012345678 ext. 5", "+493012345678\n", "+٤٩٣٠١٢٣٤٥٦٧٨"]
)
def test_no_number_is_extracted_from_other_text(client, point):
    assert check(client, 422, contact_point=point)["errors"][0]["pointer"] == "/contact_point"


def test_addresses_of_different_domains_are_different(client):
    terms = {"email": {"points": ["info@strasse.de"]}}
    assert not check(client, channel="email", contact_point="info@straße.de", terms=terms)["eligible"]


def test_an_address_is_compared_without_case(client):
    terms = {"email": {"points": ["Help@Example.com"]}}
    assert check(client, channel="email", contact_point="HELP@example.com", terms=terms)["eligible"]
    assert not check(client, channel="email", contact_point="other@example.com", terms=terms)["eligible"]


def test_a_contact_point_without_a_channel_is_not_judged(client):
    given = {name: value for name, value in CHECK.items() if name != "channel"}
    terms = {"phone": {"points": ["+493012345678"]}}
    answer = client.post("/v1/eligibility-checks", json=given | {"contact_point": "+4930999999", "terms": terms}).json
    assert answer["reason"] == "within_window"


def test_an_unchecked_contact_point_adds_a_notice(client):
    assert check(client, contact_point="+4930123456")["notices"][0] == "contact_point_unchecked"


@pytest.mark.parametrize(
    ("changed", "slug", "pointer"),
    [
        ({"region": "DE-XX"}, "unknown-region", "/region"),
        ({"terms": {"region": "Germany"}}, "unknown-region", "/terms/region"),
        ({"region": "DE", "terms": {"region": "NYSE"}}, "unknown-region", "/terms/region"),
        ({"policy": "nobodys"}, "validation-error", "/policy"),
        ({"policy": "No Body"}, "validation-error", "/policy"),
        ({"contact_point": "nonsense"}, "validation-error", "/contact_point"),
        ({"channel": "email", "contact_point": "+493012345678"}, "validation-error", "/contact_point"),
        ({"channel": "fax"}, "validation-error", "/channel"),
        ({"channel": "Phone"}, "validation-error", "/channel"),
        ({"channel": "рhone"}, "validation-error", "/channel"),
        ({"service_provided_at": "2026-04-02T16:20:00"}, "validation-error", "/service_provided_at"),
        ({"service_provided_at": 1775139600}, "validation-error", "/service_provided_at"),
        ({"service_provided_at": "0001-01-01T00:00:00+14:00"}, "validation-error", "/service_provided_at"),
        ({"requested_at": "2026-04-08T24:00:00Z"}, "validation-error", "/requested_at"),
        ({"terms": {"window_business_days": 0}}, "validation-error", "/terms/window_business_days"),
        ({"terms": {"window_business_days": 100_000}}, "validation-error", "/terms/window_business_days"),
        ({"terms": {"window_business_days": "2"}}, "validation-error", "/terms/window_business_days"),
        ({"terms": {"window_business_days": 2.5}}, "validation-error", "/terms/window_business_days"),
        ({"terms": {"window_business_days": True}}, "validation-error", "/terms/window_business_days"),
        ({"terms": {"closures": ["2026-02-30"]}}, "validation-error", "/terms/closures/0"),
        ({"terms": {"time_zone": "Mars/Olympus"}}, "validation-error", "/terms/time_zone"),
        ({"terms": {"window": 3}}, "validation-error", "/terms/window"),
        ({"terms": [1]}, "validation-error", "/terms"),
        ({"amount": 5}, "validation-error", "/amount"),
    ],
)  # fmt: skip
def test_invalid_input_is_a_problem_that_names_the_field(client, changed, slug, pointer):
    problem = check(client, status=422, **changed)
    assert problem["type"] == f"/problems/{slug}"
    assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    "changed",
    [
        {"service_provided_at": "2100-12-31T12:00:00Z", "requested_at": "2101-01-01T00:00:00Z"},
        {"service_provided_at": "1990-12-31T12:00:00Z"},
        {"service_provided_at": "0001-01-01T00:00:00Z"},
        {"region": "LK", "service_provided_at": "2026-12-31T12:00:00Z", "requested_at": "2027-01-01T00:00:00Z"},
    ],
)
def test_years_without_data_are_an_error(client, changed):
    problem = check(client, status=422, **changed)
    assert problem["type"] == "/problems/calendar-not-covered"
    assert "covers" in problem["detail"]


def test_a_whole_number_may_be_written_as_json_allows(client):
    assert check(client, terms={"window_business_days": 3.0})["window"]["length"] == 3


def batch(client, items, status=200, **rest):
    """The answer to a batch."""
    response = client.post("/v1/eligibility-checks/batch", json={"items": items} | rest)
    assert response.status_code == status, response.text
    return response.json


def test_a_batch_answers_each_item_in_order(client):
    late = CHECK | {"requested_at": "2026-04-09T00:00:00+02:00"}
    answers = batch(client, [CHECK, late, CHECK])["items"]
    assert [answer["eligible"] for answer in answers] == [True, False, True]
    single = check(client)
    assert batch(client, [CHECK], include_days=True)["items"] == [single]
    del single["days"]
    assert answers[0] == single


def test_an_invalid_item_has_a_problem_in_its_place(client):
    items = [CHECK, CHECK | {"channel": "fax"}, 5, CHECK | {"region": "XX"}, None, CHECK]
    answers = batch(client, items)["items"]
    assert [answer.get("status") for answer in answers] == [None, 422, 422, 422, 422, None]
    pointers = ["/items/1/channel", "/items/2", "/items/3/region", "/items/4"]
    assert [answer["errors"][0]["pointer"] for answer in answers[1:5]] == pointers
    assert all(pointer in answer["detail"] for pointer, answer in zip(pointers, answers[1:5], strict=True))


def test_a_batch_has_one_what_if_for_all(client):
    answers = batch(client, [CHECK, CHECK], terms={"window_business_days": 5})["items"]
    assert {answer["window"]["length"] for answer in answers} == {5}
    problem = batch(client, [CHECK | {"terms": {}}])["items"][0]
    assert problem["errors"][0]["pointer"] == "/items/0/terms"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": [CHECK] * 10_001}, "/items"),
        ({"items": [], "terms": {"window_business_days": 0}}, "/terms/window_business_days"),
        ({"items": [], "include_days": "yes"}, "/include_days"),
        ({"items": [], "terms": {"region": "XX"}}, "/terms/region"),
        ({"items": [], "more": 1}, "/more"),
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(client, body, pointer):
    response = client.post("/v1/eligibility-checks/batch", json=body)
    assert response.status_code == 422
    assert response.json["errors"][0]["pointer"] == pointer


def test_a_batch_may_be_empty_or_have_ten_thousand_items(client):
    assert batch(client, [])["items"] == []
    assert len(batch(client, [CHECK] * 10_000)["items"]) == 10_000


def test_a_batch_limits_the_number_of_listed_days(client):
    items = [CHECK] * 1000
    problem = batch(client, items, 422, terms={"window_business_days": 366}, include_days=True)
    assert problem["errors"][0]["pointer"] == "/include_days"
    assert len(batch(client, items, terms={"window_business_days": 366})["items"]) == 1000


def test_a_local_deadline_with_an_offset_in_seconds_is_rounded_to_minutes(client):
    """RFC 3339 writes offsets in whole minutes; Monrovia's was -00:44:30 until 1972."""
    terms = {"region": "LR", "time_zone": "Africa/Monrovia"}
    at = "1960-04-04T12:00:00Z"
    window = check(client, service_provided_at=at, requested_at=at, region="LR", terms=terms)["window"]
    assert (window["deadline"], window["deadline_local"]) == ("1960-04-07T00:44:30Z", "1960-04-06T23:59:30-00:45")

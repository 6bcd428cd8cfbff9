"""Regions over HTTP: their list, what the others are counted by, what is provisional, and what is refused."""

from urllib.parse import quote

import pytest

from refunds.domain.holidays_data import decreed_until
from tests.api.test_contract import validator
from tests.conftest import ONCE, client_of

PROVIDED, REQUESTED = "2026-04-02T16:20:00+02:00", "2026-04-08T21:05:00Z"


@ONCE
def test_every_region_with_a_calendar_is_listed_with_its_names(client):
    answer = client.get("/v1/calendars")
    items = {item["region"]: item for item in answer.json["items"]}
    validator("RegionList").validate(answer.json)
    assert answer.json["next"] is None
    assert len(items) == len(answer.json["items"]) > 850
    assert items["DE-BY"]["names"] == {"de": "Bayern", "en": "Bayern"}
    assert items["AT"]["names"] == {"de": "Österreich", "en": "Austria"}
    assert items["BQ-BON"]["names"]["en"] == "Bonaire"
    assert all(all(item["names"].values()) for item in items.values())
    assert "US-NY" in items["US"]["parts_that_differ"]
    assert items["US-NY"]["parts_that_differ"] == items["AT"]["parts_that_differ"] == []
    assert items["CN"]["provisional_from"] == f"{decreed_until('CN')}-12-29"
    assert items["DE"]["provisional_from"] is None
    assert items["US-CA"]["covered_until"] == "2035-12-31"


def test_the_regions_of_one_country_are_listed_and_an_unchanged_list_is_not_sent_again(client):
    first = client.get("/v1/calendars?country=CH")
    assert {item["country"] for item in first.json["items"]} == {"CH"}
    assert [item["region"] for item in first.json["items"]][:3] == ["CH", "CH-AG", "CH-AI"]
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/v1/calendars?country=CH", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@ONCE
@pytest.mark.parametrize(
    ("country", "slug", "fix"),
    [
        ("XX", "unknown-region", "use the two capital letters of ISO 3166-1"),
        ("UK", "unknown-region", "use the two capital letters of ISO 3166-1"),
        ("de", "validation-error", "such as DE"),
        ("DE-BY", "validation-error", "such as DE"),
        ("", "validation-error", "must have 1 to 100 characters"),
    ],
)
def test_a_country_that_is_none_is_refused_with_a_fix(client, country, slug, fix):
    response = client.get("/v1/calendars", query_string={"country": country})
    assert (response.status_code, response.json["type"]) == (422, f"/problems/{slug}")
    (error,) = response.json["errors"]
    assert error["pointer"] == "/country"
    assert fix in error["detail"]


@pytest.mark.parametrize(("role", "status"), [("product", 200), ("agent", 200), ("operator", 403)])
def test_who_may_read_policies_may_list_the_regions(app, role, status):
    assert client_of(app, role).get("/v1/calendars?country=AT").status_code == status


def days(client, region, first, last=None, **headers):
    """The answer with the days of a calendar; the region is percent-encoded."""
    path = f"/v1/calendars/{quote(region)}/days?from={first}&to={last or first}"
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return response.json


@ONCE
@pytest.mark.parametrize(
    ("region", "counted", "notices"),
    [
        ("NL-NH", "NL", ["region_as_country"]),
        ("ES-B", "ES-CT", []),
        ("CN-HK", "HK", []),
        ("NL", "NL", []),
        ("DE-BY", "DE-BY", []),
        ("DE", "DE", ["nationwide_holidays_only"]),
        ("US", "US", ["nationwide_holidays_only"]),
        ("IT-ENNA", None, None),
        ("AU-NSW Western", "AU-NSW Western", []),
    ],
)
def test_the_days_name_the_region_that_they_are_counted_by(client, region, counted, notices):
    if counted is None:
        response = client.get(f"/v1/calendars/{region}/days?from=2026-01-01&to=2026-01-01")
        assert response.json["type"] == "/problems/unknown-region"
        return
    answer = days(client, region, "2026-05-04", "2026-05-06")
    assert (answer["region"], answer["named_region"], answer["notices"]) == (counted, region, notices)


def test_a_holiday_has_the_name_that_it_has_in_the_region_counted_by(client):
    (item,) = days(client, "NL-NH", "2026-05-05", **{"Accept-Language": "en"})["items"]
    assert (item["why"], item["name"]) == ("public_holiday", "Liberation Day")
    (item,) = days(client, "ES-B", "2026-09-11")["items"]
    assert item["name"] == "National Day of Catalonia"
    assert days(client, "ES-M", "2026-09-11")["items"][0]["business_day"]


@ONCE
@pytest.mark.parametrize("path", ["AU-NSW Western", "AU-NSW%20Western", "AU%2DNSW%20Western"])
def test_a_region_in_a_path_may_be_percent_encoded_or_not(client, path):
    assert client.get(f"/v1/calendars/{path}/days?from=2026-01-01&to=2026-01-01").json["region"] == "AU-NSW Western"


def test_days_of_a_year_that_is_not_decreed_yet_are_provisional(client):
    until = decreed_until("CN")
    assert days(client, "CN", f"{until}-12-28")["notices"] == []
    assert days(client, "CN", f"{until}-12-29")["notices"] == ["calendar_provisional"], "by the next year's decree"
    assert days(client, "CN", f"{until}-12-31", f"{until + 1}-01-01")["notices"] == ["calendar_provisional"]
    assert days(client, "CN-BJ", f"{until + 1}-01-01")["notices"] == ["region_as_country", "calendar_provisional"]
    assert days(client, "AE", "2027-03-08", "2027-03-12")["notices"] == ["estimated_holiday"]


@pytest.mark.parametrize("country", ["CN", "HU", "LV", "BY", "UZ"])
def test_a_window_beyond_the_last_decree_is_said_to_be_provisional_by_check_and_batch(client, country):
    until = decreed_until(country)
    for year, provisional in ((until - 1, False), (until, False), (until + 1, True), (until + 2, True)):
        asked = {
            "region": country,
            "service_provided_at": f"{year}-06-01T09:00:00Z",
            "requested_at": f"{year}-06-01T10:00:00Z",
        }
        answer = client.post("/v1/eligibility-checks", json=asked).json
        (listed,) = client.post("/v1/eligibility-checks/batch", json={"items": [asked]}).json["items"]
        assert ("calendar_provisional" in answer["notices"]) is provisional, year
        assert listed["notices"] == answer["notices"]
    over = asked | {"service_provided_at": f"{until}-12-30T09:00:00Z", "terms": {"window_business_days": 10}}
    assert "calendar_provisional" in client.post("/v1/eligibility-checks", json=over).json["notices"]


@pytest.mark.parametrize(
    ("region", "notices"),
    [("NL-NH", {"region_as_country"}), ("AT-9", set()), ("JP-13", {"region_as_country"}), ("AT", set()), ("US", {"nationwide_holidays_only"}),
     ("US-NY", set()), ("ES-B", set()), ("IE-D", {"region_as_country"}), ("CN-HK", set())],
)  # fmt: skip
def test_a_decision_says_by_its_notices_what_a_region_was_counted_by(client, region, notices):
    asked = {"region": region, "service_provided_at": PROVIDED, "requested_at": REQUESTED}
    answer = client.post("/v1/eligibility-checks", json=asked).json
    assert set(answer["notices"]) == {"statutory_rights_not_assessed"} | notices


REFUSED = {
    "XX": "use the two capital letters of ISO 3166-1",
    "DE-XX": "or its code of ISO 3166-2",
    "de-by": "use the two capital letters of ISO 3166-1",
    "DE_BY": "use the two capital letters of ISO 3166-1",
    "DE-Bayern": "use DE, one of DE-(BB|BE|BW|BY|",
    "AT-BY": "or its code of ISO 3166-2",
    "NO-02": "or its code of ISO 3166-2",
    "FR-A": "or its code of ISO 3166-2",
    "FR-Zone A": "use FR, one of FR-(",
    "NL-Zuid": "use NL or its code of ISO 3166-2",
    "BE-Flemish": "use BE or its code of ISO 3166-2",
    "Germany": "use the two capital letters of ISO 3166-1",
    "D" * 200: "",
}
"""What is refused, with the fix."""


@ONCE
@pytest.mark.parametrize("region", REFUSED, ids=lambda region: region[:12])
def test_what_is_no_region_is_refused_everywhere_with_what_to_write(client, region):
    facts = {"service_provided_at": PROVIDED, "region": region}
    draft = {"version": 2, "effective_from": "2090-01-01T00:00:00Z", "terms": {"region": region}}
    check, checks = {"requested_at": REQUESTED} | facts, "/v1/eligibility-checks"
    (of_batch,) = client.post(f"{checks}/batch", json={"items": [check]}).json["items"]
    problems = {
        "/region": [
            client.post(checks, json=check).json,
            client.put("/v1/orders/R-1", json={"customer_ref": "K"} | facts).json,
            client.get(f"/v1/calendars/{quote(region)}/days?from=2026-01-01&to=2026-01-01").json,
        ],
        "/items/0/region": [of_batch],
        "/terms/region": [client.post("/v1/policies/virtual-numbers/versions?dry_run=true", json=draft).json],
    }
    for pointer, found in problems.items():
        for problem in found:
            (error,) = problem["errors"]
            kinds = {"/problems/unknown-region"} | ({"/problems/validation-error"} if len(region) > 40 else set())
            assert problem["type"] in kinds
            assert error["pointer"] == pointer
            assert REFUSED[region] in error["detail"]
            assert region not in error["detail"] or len(region) < 40
    assert client.get("/v1/orders/R-1").status_code == 404


def test_a_promise_beyond_the_last_decree_is_provisional(client):
    until = decreed_until("CN")
    for year, provisional in ((until, False), (until + 1, True)):
        facts = {"customer_ref": "K-1", "region": "CN", "service_provided_at": f"{year}-06-01T09:00:00Z"}
        order = client.put(f"/v1/orders/future-{year}", json=facts).json
        assert order["promise"]["provisional"] is provisional


def test_a_country_is_asked_for_by_its_two_letters(client):
    refused = client.get("/v1/calendars?country=FRA")
    assert (refused.status_code, refused.json["errors"][0]["detail"]) == (
        422,
        "must be the two capital letters of a country, such as DE",
    )

"""Policies and calendars over HTTP."""

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import EffectiveTooEarly, InvalidInput
from refunds.service import contacts, orders
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.replay import Replayed, replay
from refunds.service.store import Store
from refunds.storage.audit import Broken
from refunds.web import create_app
from tests.conftest import client_of, settings, with_policies

SECOND = """
policy = "virtual-numbers"
version = 2
effective_from = 2026-07-01T00:00:00+02:00
page_published_at = 2026-06-15T12:00:00Z
window_business_days = 3
closures = [2026-07-06]
"""
BRAND = 'policy = "brand"\nversion = 1\neffective_from = 2026-01-01T00:00:00Z\n'


@pytest.fixture
def two_versions():
    """A client of a service with a second version of the packaged policy, and another brand."""
    return client_of(with_policies(create_app(settings()), SECOND, BRAND))


def test_policies_are_listed_with_their_versions_and_dates(two_versions):
    listed = two_versions.get("/v1/policies").json
    assert [(policy["id"], policy["default"], policy["last_updated"]) for policy in listed["items"]] == [
        ("brand", False, "2026-01-01T00:00:00Z"),
        ("virtual-numbers", True, "2026-06-15T12:00:00Z"),
    ]
    assert [v["effective_from"] for v in listed["items"][1]["versions"]] == [None, "2026-06-30T22:00:00Z"]
    assert listed["next"] is None
    assert two_versions.get("/v1/policies/brand").json == listed["items"][0]


def test_a_version_shows_every_term(two_versions):
    version = two_versions.get("/v1/policies/virtual-numbers/versions/2").json
    assert version["terms"]["window_business_days"] == 3
    assert version["terms"]["closures"] == ["2026-07-06"]
    assert version["terms"]["late_entry_days"] == 5
    assert version["effective_from"] == "2026-06-30T22:00:00Z"


def test_an_order_is_judged_by_the_version_of_its_day(two_versions):
    for provided, version, last_day in (
        ("2026-06-30T23:59:59+02:00", 1, "2026-07-02"),
        ("2026-07-01T00:00:00+02:00", 2, "2026-07-07"),
    ):
        body = {"service_provided_at": provided, "requested_at": "2026-07-02T10:00:00Z"}
        answer = two_versions.post("/v1/eligibility-checks", json=body).json
        assert (answer["policy"]["version"], answer["window"]["last_day"]) == (version, last_day)


def test_a_what_if_on_judged_by_or_the_contact_points_applies_to_both_versions(two_versions):
    check = {"service_provided_at": "2026-07-01T10:00:00Z", "requested_at": "2026-07-02T10:00:00Z"}
    ordered = check | {"ordered_at": "2026-06-30T10:00:00Z", "terms": {"judged_by": "ordered"}}
    assert two_versions.post("/v1/eligibility-checks", json=ordered).json["policy"]["version"] == 1
    older = {"service_provided_at": "2026-06-30T10:00:00Z", "requested_at": "2026-07-01T10:00:00Z"}
    contact = {"channel": "phone", "contact_point": "+4930123456", "terms": {"phone": {"points": ["+4930999999"]}}}
    answer = two_versions.post("/v1/eligibility-checks", json=older | contact).json
    assert answer["reason"] == "unofficial_contact_point"


def test_before_the_first_version_there_is_no_policy_in_force(two_versions):
    body = {"policy": "brand", "service_provided_at": "2025-12-31T10:00:00Z", "requested_at": "2026-01-02T10:00:00Z"}
    problem = two_versions.post("/v1/eligibility-checks", json=body).json
    assert problem["type"] == "/problems/no-policy-in-force"
    assert "2026-01-01" in problem["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/policies/nobodys", "/v1/policies/virtual-numbers/versions/2", "/v1/policies/virtual-numbers/versions/0",
             "/v1/policies/virtual-numbers/versions/01",
        "/v1/policies/virtual-numbers/versions/%D9%A1",
        "/v1/policies/virtual-numbers/versions/x", "/v1/policies/virtual-numbers/versions/99999999999999999999999"],
)  # fmt: skip
def test_an_unknown_policy_or_version_is_not_found(client, path):
    response = client.get(path)
    assert (response.status_code, response.json["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    "path", ["/v1/policies", "/v1/policies/virtual-numbers", "/v1/policies/virtual-numbers/versions/1"]
)
def test_an_unchanged_resource_is_not_sent_again(client, path):
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("file", "error", "place", "fix"),
    [
        (
            'policy = "unborn"\nversion = 2',
            InvalidInput,
            "/effective_from",
            "only version 1 may be in force from the beginning",
        ),
        (
            BRAND.replace("brand", "unborn") + "page_published_at = 2026-02-01T00:00:00Z",
            EffectiveTooEarly,
            "/effective_from",
            "not be earlier than page_published_at",
        ),
        (BRAND.replace("brand", "unborn").replace("1", "2", 1), InvalidInput, "/version", "is 2, but must be 1"),
    ],
)
def test_an_impossible_version_is_not_imported(app, client, file, error, place, fix):
    with pytest.raises(error) as refused:
        with_policies(app, file)
    assert [field_error.pointer for field_error in refused.value.errors] == [place]
    assert fix in refused.value.errors[0].detail
    assert client.get("/v1/policies/unborn").status_code == 404


def test_equal_content_has_an_equal_hash(client):
    def hash_of(**changed):
        draft = {"version": 1, "effective_from": "2090-01-01T00:00:00Z", "terms": {}} | changed
        return client.post("/v1/policies/hashed/versions?dry_run=true", json=draft).json["content_hash"]

    others = {hash_of(terms={"window_business_days": 3}), hash_of(effective_from="2090-07-01T00:00:00Z")}
    assert hash_of() == hash_of(effective_from="2090-01-01T01:00:00+01:00", terms={"window_business_days": 2})
    assert len({hash_of(), *others}) == 3


def days(client, region="DE-BY", **query):
    """The response to a request for the days of a calendar."""
    return client.get(f"/v1/calendars/{region}/days", query_string=query)


def test_each_date_says_why_it_is_not_a_business_day(client):
    answer = days(client, **{"from": "2026-04-02", "to": "2026-04-07"}).json
    assert [(day["date"], day["business_day"], day.get("why"), day.get("name")) for day in answer["items"]] == [
        ("2026-04-02", True, None, None),
        ("2026-04-03", False, "public_holiday", "Good Friday"),
        ("2026-04-04", False, "weekend", None),
        ("2026-04-05", False, "weekend", None),
        ("2026-04-06", False, "public_holiday", "Easter Monday"),
        ("2026-04-07", True, None, None),
    ]


def test_the_calendar_includes_the_closures_of_a_policy(two_versions):
    query = {"from": "2026-07-06", "to": "2026-07-06"}
    assert days(two_versions, **query).json["items"][0]["why"] == "closure"
    assert days(two_versions, **query, policy="brand").json["items"][0]["business_day"]


@pytest.mark.parametrize(
    "region", ["AU-NSW%20Western", "BR-S%C3%A3o%20Paulo%20Capital", "NZ-South%20Canterbury", "CH-Stadt%20Zurich"]
)
def test_codes_with_spaces_and_accents_are_percent_encoded(client, region):
    response = client.get(f"/v1/calendars/{region}/days?from=2026-01-01&to=2026-01-01")
    assert response.json["items"][0]["why"] == "public_holiday"


@pytest.mark.parametrize(
    ("query", "slug", "pointer"),
    [
        ({"from": "2026-01-01"}, "validation-error", "/to"),
        ({"from": "2026-01-01", "to": "2025-12-31"}, "validation-error", "/to"),
        ({"from": "2026-01-01", "to": "2027-02-05"}, "validation-error", "/to"),
        ({"from": "0001-01-01", "to": "9999-12-31"}, "validation-error", "/to"),
        ({"from": "1.1.2026", "to": "2026-01-01"}, "validation-error", "/from"),
        ({"from": "2026-01-01", "to": "2026-01-01", "polcy": "x"}, "validation-error", "/polcy"),
        ({"from": "2026-01-01", "to": "2026-01-01", "policy": "nobodys"}, "validation-error", "/policy"),
        ({"from": ["2026-01-01", "2026-01-02"], "to": "2026-01-01"}, "validation-error", "/from"),
        ({"from": "1990-12-31", "to": "1991-01-01"}, "calendar-not-covered", None),
    ],
)
def test_invalid_queries_are_problems(client, query, slug, pointer):
    response = days(client, **query)
    assert (response.status_code, response.json["type"]) == (422, f"/problems/{slug}")
    assert [error["pointer"] for error in response.json.get("errors", [])] == ([pointer] if pointer else [])


def test_400_days_are_the_maximum(client):
    assert len(days(client, **{"from": "2026-01-01", "to": "2027-02-04"}).json["items"]) == 400


def test_an_unknown_region_is_a_problem(client):
    response = days(client, "Germany", **{"from": "2026-01-01", "to": "2026-01-01"})
    assert (response.status_code, response.json["type"]) == (422, "/problems/unknown-region")


def test_an_operation_without_parameters_refuses_any(client):
    response = client.get("/v1/policies?limit=5")
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/limit")


def test_records_from_before_policies_were_stored_can_be_opened(tmp_path):
    """They contain decisions, but not the version that made them."""
    store = Store(settings(tmp_path))
    with store.write(COMMAND_LINE) as uow:
        facts = OrderFacts(order_id="A-1", customer_ref="K-1", service_provided_at=uow.now)
        orders.register(uow, facts)
        contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE))
    engine, _ = store.open()
    with engine.write() as tx:
        tx.run("DELETE FROM policy_versions")
        tx.run("DELETE FROM events WHERE type = 'policy.imported'")
        tx.run("UPDATE journal_head SET policies_at = 0")
    store.close()
    opened = Store(settings(tmp_path))
    with opened.read(COMMAND_LINE) as uow:
        assert orders.eligibility(uow, uow.orders.get("A-1"), None, None).eligible
        assert list(replay(uow, Replayed())) == []
    opened.close()


def test_a_deleted_version_is_reported_and_not_created_again(tmp_path):
    """In a new installation, which only has the packaged policy."""
    store = Store(settings(tmp_path))
    engine, _ = store.open()
    with engine.write() as tx:
        assert tx.run("DELETE FROM policy_versions") == 1
    store.close()
    opened = Store(settings(tmp_path))
    with (
        opened.read(COMMAND_LINE) as uow,
        pytest.raises(Broken, match="virtual-numbers/1: the record is missing"),
    ):
        uow.verify([])
    opened.close()

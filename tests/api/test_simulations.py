"""Simulations over HTTP: what a draft would change for the stored orders and contacts, without storing anything."""

from datetime import timedelta

import pytest

from refunds.domain.instants import format_instant, parse_instant
from tests.api.conftest import IN_TIME, LATE, PROVIDED, places, slug
from tests.api.test_contract import validator
from tests.api.test_promises import EASTER, NEW_HOLIDAY
from tests.api.test_publication import CHANGE, MICROSECOND, TODAY, Brand, service  # noqa: F401 - a fixture
from tests.changed_data import other_holidays
from tests.conftest import client_of

TO_ELIGIBLE, TO_REFUSED = "to_eligible", "to_refused"
BEFORE_CORPUS_CHRISTI = "2026-06-03T09:00:00Z"


def simulate(brand, role="admin", language="en", version=2, **terms):
    """The response to a simulation of a draft."""
    draft = {"version": version, "effective_from": None, "terms": terms}
    headers = {"Accept-Language": language}
    return client_of(brand.service, role).post(f"{brand.url}/simulations", json=draft, headers=headers)


@pytest.fixture
def brand(service, now):  # noqa: F811
    """A policy with an order of each kind.

    One request was late, one in time, one before the service was provided, and one in March was cancelled.
    """
    brand = Brand(service, now)
    agent, brand.orders = brand.agent, {}

    def order(name, at, region=None, provided=PROVIDED, **contact):
        now.move_to(at)
        brand.orders[name] = agent.register(policy=brand.id, region=region, service_provided_at=provided)
        return agent.record(brand.orders[name], **contact)

    order("march", "2026-03-10T09:00:00Z", "DE-BE", "2026-03-09T09:00:00Z", channel="email")
    agent.cancelled(brand.orders["march"])
    order("unprovided", "2026-04-08T09:00:00Z", provided=None)
    order("in time", IN_TIME, "DE-BE", channel="email")
    order("late", LATE, "DE-BY")
    return brand


def numbers(counted, *names):
    """Some of the counts, in order."""
    return [counted[name] for name in names]


def by(answer, group):
    """The counts by month, channel or region: contacts, and how many of them would change."""
    return {row[group]: numbers(row, "contacts", TO_ELIGIBLE, TO_REFUSED) for row in answer[f"by_{group}"]}


def test_withdrawals_are_left_out(brand, now):
    before = simulate(brand, window_business_days=3).json
    contact = brand.agent.record(brand.orders["late"], intent="withdrawal", channel="post")
    assert contact.status_code == 201, contact.text
    assert simulate(brand, window_business_days=3).json == before


def test_a_longer_window_makes_late_requests_eligible(brand):
    answer = simulate(brand, window_business_days=3)
    found = answer.json
    assert answer.status_code == 200
    validator("Simulation").validate(found)
    assert (found["policy"], found["version"], found["compared_with"]) == (brand.id, 2, 1)
    assert found["differences"] == [
        {"term": "window_business_days", "text": "Window: 3 business days (was: 2 business days)"}
    ]
    assert found["orders"] == {
        "judged": 3,
        "longer": 3,
        "shorter": 0,
        "not_provided": 1,
        "to_eligible": 1,
        "to_refused": 0,
    }
    assert found["contacts"] == {"judged": 5, "to_eligible": 1, "to_refused": 0}
    assert by(found, "month") == {"2026-03": [2, 0, 0], "2026-04": [3, 1, 0]}
    assert by(found, "channel") == {"email": [2, 0, 0], "phone": [3, 1, 0]}
    assert by(found, "region") == {"DE": [1, 0, 0], "DE-BE": [3, 0, 0], "DE-BY": [1, 1, 0]}
    assert [numbers(row, "orders", "longer", "shorter") for row in found["by_month"]] == [[1, 1, 0], [2, 2, 0]]
    assert [numbers(row, "orders", "longer", "shorter") for row in found["by_region"]] == [
        [0, 0, 0],
        [2, 2, 0],
        [1, 1, 0],
    ]
    assert found["examples"][TO_REFUSED] == []
    (example,) = found["examples"][TO_ELIGIBLE]
    contact = brand.agent.get(f"/v1/contacts?order_id={brand.orders['late']}").json["items"][0]
    assert example == {
        "order_id": brand.orders["late"],
        "contact_id": contact["contact_id"],
        "channel": "phone",
        "region": "DE-BY",
        "requested_at": LATE,
        "reason_before": "window_elapsed",
        "reason_after": "within_window",
        "deadline_before": "2026-04-08T22:00:00Z",
        "deadline_after": "2026-04-09T22:00:00Z",
    }
    assert found["undecided"] == {}


@pytest.mark.parametrize(
    ("terms", "longer", "shorter", "refused", "reason"),
    [
        ({"window_business_days": 1}, 0, 3, ["in time"], "window_elapsed"),
        ({"email": {"accepted": False}}, 0, 0, ["march", "in time"], "channel_not_accepted"),
        ({"phone": {"accepted": False}}, 0, 0, ["march", "unprovided"], "channel_not_accepted"),
        ({"business_week": ["mon", "tue", "wed", "thu", "fri", "sat"]}, 0, 2, ["in time"], "window_elapsed"),
        ({"time_zone": "Asia/Tokyo"}, 0, 3, ["in time"], "window_elapsed"),
        ({"closures": ["2026-04-08"]}, 2, 0, [], None),
        ({"late_entry_days": 6}, 0, 0, [], None),
        ({"texts": {"de": "Anders."}}, 0, 0, [], None),
    ],
)
def test_a_simulation_lists_what_would_be_refused_and_why(brand, terms, longer, shorter, refused, reason):
    found = simulate(brand, **terms).json
    assert numbers(found["orders"], "longer", "shorter", TO_REFUSED) == [longer, shorter, len(refused)]
    examples = found["examples"][TO_REFUSED]
    assert {example["order_id"] for example in examples} == {brand.orders[name] for name in refused}
    assert {example["reason_after"] for example in examples} <= {reason}


def test_a_draft_may_use_its_own_region(brand):
    """Counts are still grouped by the customer's region; holidays are those of the draft's region."""
    found = simulate(brand, follow_order_region=False, region="US").json
    assert {example["region"] for example in found["examples"][TO_REFUSED]} == {"US"}
    assert set(by(found, "region")) == {"DE", "DE-BE", "DE-BY"}


def test_a_draft_without_changes_changes_no_decision(brand):
    found = simulate(brand).json
    assert found["differences"] == []
    assert numbers(found["orders"], "longer", "shorter", TO_ELIGIBLE, TO_REFUSED) == [0] * 4
    assert found["contacts"] == {"judged": 5, "to_eligible": 0, "to_refused": 0}


@pytest.mark.parametrize("data", [{"lost": EASTER}, {"added": [NEW_HOLIDAY]}])
def test_a_decision_that_newer_holidays_change_is_not_blamed_on_the_draft(brand, now, data):
    """A request was allowed by a promise that was kept; others are decided otherwise today than on record."""
    with other_holidays("99.0", **data):
        now.move_to(IN_TIME)
        assert brand.agent.record(brand.orders["in time"]).json["decision"]["reason"] == "within_window"
        found = simulate(brand, texts={"de": "Anders."}).json
        assert numbers(found["contacts"], TO_ELIGIBLE, TO_REFUSED) == [0, 0]
        assert found["examples"] == {TO_ELIGIBLE: [], TO_REFUSED: []}


@pytest.mark.parametrize("before", [{"policy": "another"}, {"region": "DE-BE"}])
def test_a_correction_of_the_order_is_not_blamed_on_the_draft(brand, service, now, before):  # noqa: F811
    """The request was late by the policy or region of before, and is in time by the present one."""
    another = Brand(service, now, window_business_days=1).id
    right = {
        "customer_ref": "K-20391",
        "policy": brand.id,
        "region": "DE-BY",
        "service_provided_at": BEFORE_CORPUS_CHRISTI,
    }
    now.move_to("2026-06-08T09:00:00Z")
    order_id = brand.agent.register(**right | before | ({"policy": another} if "policy" in before else {}))
    assert brand.agent.record(order_id).json["decision"]["reason"] == "window_elapsed"
    tag = brand.supervisor.get(f"/v1/orders/{order_id}").headers["ETag"]
    corrected = right | {"correction_reason": "a slip"}
    answer = brand.supervisor.put(f"/v1/orders/{order_id}", json=corrected, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    found = simulate(brand, texts={"de": "Anders."}).json
    assert numbers(found["contacts"], "judged", TO_ELIGIBLE, TO_REFUSED) == [6, 0, 0]
    assert simulate(brand, window_business_days=1).json["contacts"][TO_ELIGIBLE] == 0


def test_a_simulation_stores_nothing(brand):
    position = brand.position()
    simulate(brand, window_business_days=3)
    assert brand.position() == position
    assert len(brand.product.get(brand.url).json["versions"]) == 1


def test_the_number_and_date_of_a_draft_do_not_affect_its_simulation(brand):
    body = {"version": 77, "effective_from": "2020-01-01T00:00:00Z", "terms": {"window_business_days": 3}}
    found = client_of(brand.service, "admin").post(f"{brand.url}/simulations", json=body).json
    assert found | {"version": 2} == simulate(brand, window_business_days=3).json


def test_a_simulation_includes_the_closures_that_were_entered(brand, now):
    """For each order separately: a window that had ended is not extended."""
    now.move_to("2026-04-09T09:00:00Z")
    brand.close("2026-04-09")
    found = simulate(brand, window_business_days=3).json
    assert found["examples"][TO_ELIGIBLE][0]["deadline_after"] == "2026-04-10T22:00:00Z"
    assert numbers(found["orders"], "judged", "longer") == [3, 3]


def test_other_policies_and_superseded_contacts_are_not_counted(brand, service, now):  # noqa: F811
    other = Brand(service, now)
    now.move_to(LATE)
    order_id = other.order(service_provided_at=PROVIDED)
    first = other.agent.record(order_id, note="wrong").json["contact_id"]
    other.agent.record(order_id, supersedes=first)
    found = simulate(other, window_business_days=3).json
    assert (found["orders"]["judged"], found["contacts"]) == (1, {"judged": 1, "to_eligible": 1, "to_refused": 0})
    assert simulate(brand, window_business_days=3).json["contacts"]["judged"] == 5


def test_an_order_with_several_changed_contacts_counts_once(brand, now):
    now.move_to(LATE)
    for _ in range(3):
        brand.agent.record(brand.orders["late"])
    found = simulate(brand, window_business_days=3).json
    assert (found["orders"][TO_ELIGIBLE], found["contacts"][TO_ELIGIBLE]) == (1, 4)


def test_at_most_ten_examples_are_listed(brand, now):
    now.move_to(LATE)
    for _ in range(11):
        brand.agent.record(brand.orders["late"])
    assert len(simulate(brand, window_business_days=3).json["examples"][TO_ELIGIBLE]) == 10


def test_each_order_is_compared_with_the_version_that_judges_it(brand, now):
    """The simulated window is longer than that of version 2, and the same as that of version 3."""
    brand.clock.move_to(TODAY)
    brand.publish(2, CHANGE, window_business_days=1)
    brand.publish(3, "2026-05-01T00:00:00Z", window_business_days=3)
    now.move_to("2026-05-05T09:00:00Z")
    for provided in ("2026-04-16T09:00:00Z", "2026-05-04T09:00:00Z"):
        brand.order(service_provided_at=provided)
    found = simulate(brand, window_business_days=3, version=4).json
    assert found["compared_with"] == 3
    assert {row["month"]: numbers(row, "orders", "longer", "shorter") for row in found["by_month"]} == {
        "2026-03": [1, 1, 0],
        "2026-04": [3, 3, 0],
        "2026-05": [1, 0, 0],
    }


def test_orders_a_microsecond_apart_are_judged_separately(service, now):  # noqa: F811
    """On either side of midnight, and on either side of a new version."""
    brand = Brand(service, now)
    brand.publish(2, "2026-04-15T10:00:00Z", window_business_days=5)
    now.move_to("2026-04-20T00:00:00Z")
    for edge in map(parse_instant, ("2026-04-13T22:00:00Z", "2026-04-15T10:00:00Z")):
        for provided in (edge - MICROSECOND, edge):
            brand.order(service_provided_at=format_instant(provided))
    # By Berlin's dates, Monday, Tuesday and Wednesday with two days, then Wednesday with five. By Tokyo's, Tuesday
    # twice and Wednesday twice, and each window ends seven hours earlier.
    for days, longer, shorter in ((2, 1, 3), (3, 3, 1)):
        found = simulate(brand, version=3, window_business_days=days, time_zone="Asia/Tokyo").json
        assert numbers(found["orders"], "judged", "longer", "shorter") == [4, longer, shorter]


def test_differences_are_described_in_the_readers_language(brand):
    differences = simulate(brand, language="de", window_business_days=1).json["differences"]
    assert [difference["text"] for difference in differences] == ["Frist: 1 Werktag (bisher: 2 Werktage)"]


def test_simulating_requires_a_scope(brand):
    for role in ("agent", "supervisor", "billing", "auditor", "privacy", "operator"):
        answer = simulate(brand, role, window_business_days=3)
        assert (answer.status_code, slug(answer)) == (403, "forbidden"), role


@pytest.mark.parametrize(
    ("path", "changed", "status", "kind"),
    [
        ("/v1/policies/nobodys/simulations", {}, 404, "not-found"),
        ("/v1/policies/No%20body/simulations", {}, 422, "validation-error"),
        (None, {"version": 0}, 422, "validation-error"),
        (None, {"terms": {"window_business_days": 367}}, 422, "validation-error"),
        (None, {"terms": {"windows": 2}}, 422, "validation-error"),
        (None, {"terms": {"texts": {"de": "4111 1111 1111 1111"}}}, 422, "payment-data-refused"),
        (None, {"orders": "all"}, 422, "validation-error"),
    ],
)
def test_an_invalid_draft_is_refused(brand, path, changed, status, kind):
    body = {"version": 2, "effective_from": None, "terms": {}} | changed
    answer = client_of(brand.service, "product").post(path or f"{brand.url}/simulations", json=body)
    assert (answer.status_code, slug(answer)) == (status, kind)
    assert status == 404 or len(places(answer)) == 1


def test_orders_that_no_version_judges_are_counted_as_undecided(service, now):  # noqa: F811
    """Registered under a future version that was withdrawn later."""
    brand = Brand(service, now)
    brand.url += "-later"
    brand.id += "-later"
    assert brand.publish(1, "2027-01-01T00:00:00Z").status_code == 201
    brand.order(service_provided_at="2027-02-01T00:00:00Z")
    assert brand.withdraw(1).status_code == 200
    found = simulate(brand, window_business_days=3).json
    assert (found["orders"]["judged"], found["undecided"]) == (0, {"no-policy-in-force": 1})


def test_a_contact_counts_in_the_month_of_its_service_or_else_its_own(service, now):  # noqa: F811
    brand = Brand(service, now)
    now.move_to("2026-04-30T21:59:00Z")
    brand.agent.record(brand.order(service_provided_at=None))
    order_id = brand.order(service_provided_at="2026-04-30T12:00:00Z")
    now.shift(timedelta(days=3))
    brand.agent.record(order_id)
    found = simulate(brand, window_business_days=3).json
    assert by(found, "month") == {"2026-04": [2, 0, 0]}


def test_a_draft_with_an_unknown_region_is_refused(client):
    draft = {"version": 2, "effective_from": None, "terms": {"region": "Bavaria"}}
    answer = client.post("/v1/policies/virtual-numbers/simulations", json=draft)
    assert (answer.status_code, answer.json["type"]) == (422, "/problems/unknown-region")
    assert answer.json["errors"][0]["pointer"] == "/terms/region"

"""A customer's telephone number without a country code is one of the order's country, or it is refused."""

import pytest

from refunds.web import create_app
from tests.api.conftest import Desk, places
from tests.api.test_corrections import put
from tests.conftest import client_of, settings, with_policies

NATIONAL, AUSTRIAN, GERMAN = "0664 1234567", "+436641234567", "+496641234567"
WITH_ITS_COUNTRY_CODE = "with its country code, as in +43 664 1234567"


def vendor(now, terms):
    """The desk of an agent of a vendor with these terms."""
    app = with_policies(create_app(settings(policy="vendor")), f'policy = "vendor"\nversion = 1\n{terms}\n')
    return Desk(client_of(app, "agent"), now)


def recorded(desk, order_id, number=NATIONAL):
    """What becomes of the number of a customer."""
    answer = desk.record(order_id, from_detail=number)
    assert answer.status_code == 201, answer.text
    return answer.json["from_detail"]


def refused(answer, place):
    """The detail and the code of the only error of a refusal, which is at this place."""
    assert (answer.status_code, places(answer)) == (422, [place])
    (error,) = answer.json["errors"]
    return error["detail"], error["code"]


@pytest.mark.parametrize(
    ("region", "number", "spelt"),
    [
        ("AT", NATIONAL, AUSTRIAN),
        ("AT-9", NATIONAL, AUSTRIAN),
        ("DE-BY", NATIONAL, GERMAN),
        ("FR-MF", "0690 12 34 56", "+590690123456"),
        ("US-PR", "787 555 0132", "+17875550132"),
        ("HK", "5123 4567", "+85251234567"),
        ("AT", "+49 89 123456", "+4989123456"),
        ("AT", "0049 89 123456", "+4989123456"),
    ],
)
def test_a_number_is_read_as_one_of_the_orders_country(agent, region, number, spelt):
    assert recorded(agent, agent.register(region=region), number) == spelt


def test_so_is_that_of_a_contact_recorded_with_a_cancellation(agent):
    order_id = agent.register(region="AT", service_provided_at=None)
    issued = agent.cancelled(order_id, contact={"channel": "phone", "from_detail": NATIONAL})
    assert agent.get(f"/v1/contacts/{issued['contact_id']}").json["from_detail"] == AUSTRIAN


@pytest.mark.parametrize(("terms", "spelt"), [("", GERMAN), ('region = "AT-9"', AUSTRIAN)])
def test_for_an_order_without_a_region_that_of_its_policy_counts(now, terms, spelt):
    desk = vendor(now, terms)
    assert recorded(desk, desk.register(region=None)) == spelt


def test_the_customer_is_where_the_order_says_even_if_the_policy_counts_by_its_own_region(now):
    desk = vendor(now, "follow_order_region = false")
    assert recorded(desk, desk.register(region="AT")) == AUSTRIAN


def test_a_vendors_own_number_is_read_as_one_of_the_policys_region(now):
    desk = vendor(now, 'region = "FR-971"\n[phone]\npoints = ["+590590123456"]')
    answer = desk.record(desk.register(region="DE-BY"), contact_point="0590 12 34 56")
    assert (answer.json["contact_point"], answer.json["decision"]["reason"]) == ("+590590123456", "within_window")


def test_a_correction_of_the_region_leaves_recorded_numbers_as_they_are(agent, billing):
    order_id = billing.register(region="DE-BY")
    contact_id = agent.record(order_id, from_detail=NATIONAL).json["contact_id"]
    corrected = put(billing, order_id, '"1"', region="AT", correction_reason="moved")
    assert corrected.json["region"] == "AT"
    assert agent.get(f"/v1/contacts/{contact_id}").json["from_detail"] == GERMAN
    assert recorded(agent, order_id) == AUSTRIAN


@pytest.mark.parametrize(("region", "spelt"), [("AT", AUSTRIAN), ("DE-BY", GERMAN)])
def test_where_a_customer_was_answered_is_read_in_the_same_way(agent, region, spelt):
    path = f"/v1/contacts/{agent.record(agent.register(region=region)).json['contact_id']}/acknowledgement"
    assert agent.put(path, json={"channel": "phone", "to": NATIONAL}).json["acknowledgement"]["to"] == spelt


def test_the_number_of_the_contact_is_not_stored_again_where_it_was_answered(agent):
    contact = agent.record(agent.register(region="AT"), from_detail=NATIONAL).json
    answer = agent.put(
        f"/v1/contacts/{contact['contact_id']}/acknowledgement", json={"channel": "phone", "to": NATIONAL}
    )
    assert answer.json["acknowledgement"]["to"] is None


@pytest.mark.parametrize(("region", "country", "number"), [("AT", "AT", "1"), ("US-CA", "US", "555-0132")])
def test_a_number_that_cannot_exist_there_is_refused_with_the_country_and_the_fix(agent, region, country, number):
    order_id = agent.register(region=region)
    detail = f"must be a telephone number that can exist in {country}, or be written {WITH_ITS_COUNTRY_CODE}"
    fix = (detail, "impossible_number")
    assert refused(agent.record(order_id, from_detail=number), "/from_detail") == fix
    contact_id = agent.record(order_id).json["contact_id"]
    answer = agent.put(f"/v1/contacts/{contact_id}/acknowledgement", json={"channel": "phone", "to": number})
    assert refused(answer, "/to") == fix


def test_without_an_order_the_country_is_not_known_and_a_number_needs_its_country_code(agent):
    call = {"order_hint": "AT-1, or so", "channel": "phone"}
    detail, _ = refused(agent.post("/v1/contacts", call | {"from_detail": NATIONAL}), "/from_detail")
    assert detail == f"must be a telephone number {WITH_ITS_COUNTRY_CODE}, or an e-mail address"
    kept = agent.post("/v1/contacts", call | {"from_detail": "+43 664 1234567", "contact_point": "030 123456"}).json
    assert (kept["from_detail"], kept["contact_point"]) == (AUSTRIAN, "+4930123456")
    order_id = agent.register(region="DE-BY")
    matched = agent.put(f"/v1/contacts/{kept['unmatched_id']}/order", json={"order_id": order_id})
    assert matched.json["from_detail"] == AUSTRIAN

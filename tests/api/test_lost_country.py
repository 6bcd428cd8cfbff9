"""Later holiday data may lack a country: what was told of its orders stands, and nothing about them is lost."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.service import calendars, doctor
from refunds.service.examination import Level, Patient
from refunds.service.replay import Replayed, replay
from refunds.service.store import Store
from refunds.service.watch import watch
from refunds.web import create_app
from tests.api.conftest import PROVIDED, Desk, slug
from tests.changed_data import lost_country
from tests.conftest import client_of, settings

NUMBER = "99.0"


@pytest.fixture
def shop(now, engine):
    """A desk and its store, with orders in Denmark of which one was told its end, one has no date, and one is over."""
    of = settings(engine=engine)
    app = create_app(of)
    store = app.extensions["refunds.store"]
    admin = Desk(client_of(app, "admin"), now)
    with closing(store):
        watch(store)
        told, untold = (admin.register(region="DK"), admin.register(region="DK-81", service_provided_at=None))
        contact = admin.record(told, intent="question").json
        cancelled = admin.cancelled(admin.register(region="DK"))
        yield SimpleNamespace(
            desk=admin,
            app=app,
            settings=of,
            store=store,
            told=told,
            untold=untold,
            contact=contact,
            cancelled=cancelled,
        )


@pytest.fixture
def before(shop):
    """What was told of the order while the data had its country."""
    return asked(shop, shop.told)


@pytest.fixture
def lost(shop, before):
    """The shop after the data has lost the country."""
    with lost_country(NUMBER, "DK"):
        yield shop


def asked(shop, order_id):
    """The decision on a request for an order that comes in now."""
    answer = shop.desk.get(f"/v1/orders/{order_id}/eligibility")
    assert answer.status_code == 200, answer.text
    return answer.json


def dated(shop):
    """Say of the order without a date when its service was provided, and return its id."""
    facts = {"customer_ref": "K-20391", "region": "DK-81", "service_provided_at": PROVIDED}
    answer = shop.desk.put(f"/v1/orders/{shop.untold}", json=facts)
    assert answer.status_code == 200, answer.text
    return shop.untold


def test_the_promise_of_an_order_stands(lost, before):
    decision = asked(lost, lost.told)
    assert (decision["eligible"], decision["reason"]) == (True, "within_window")
    assert decision["window"] == before["window"]
    assert decision["days"] == before["days"]
    assert decision["calendar"]["region"] == "DK"
    assert "promise_kept" in decision["notices"]
    contact = lost.desk.record(lost.told).json
    assert contact["decision"]["window"] == before["window"]
    cancelled = lost.desk.cancelled(lost.told, contact_id=contact["contact_id"])
    assert (cancelled["state"], cancelled["decision"]["window"]) == ("issued", before["window"])


def test_the_promise_ends_when_it_was_to_end(lost, before, now):
    now.move_to(before["window"]["deadline"])
    decision = asked(lost, lost.told)
    assert (decision["eligible"], decision["reason"]) == (False, "window_elapsed")


def test_without_a_promise_a_contact_is_kept_open_for_a_supervisor(lost):
    assert asked(lost, lost.untold)["reason"] == "service_not_yet_provided"
    order_id = dated(lost)
    decision = asked(lost, order_id)
    assert (decision["eligible"], decision["reason"], decision["window"]) == (False, "calendar_unknown", None)
    assert decision["calendar"]["region"] == "DK-81"
    contact = lost.desk.record(order_id).json
    assert (contact["open"], contact["decision"]["reason"]) == (True, "calendar_unknown")
    refused = lost.desk.issue(order_id, contact_id=contact["contact_id"])
    assert (refused.status_code, slug(refused)) == (409, "not-refundable")
    override = {"kind": "deadline_accepted", "reason": "It came the day after."}
    issued = lost.desk.issue(order_id, contact_id=contact["contact_id"], override=override).json
    assert (issued["state"], issued["basis"], issued["decision"]["window"]) == ("issued", "policy", None)


def test_what_was_recorded_is_shown(lost, before):
    desk, cancelled = lost.desk, lost.cancelled["cancellation_id"]
    listed = desk.get("/v1/orders").json["items"]
    assert {one["order_id"] for one in listed} == {lost.told, lost.untold, lost.cancelled["order_id"]}
    assert desk.get(f"/v1/orders/{lost.told}").json == next(one for one in listed if one["order_id"] == lost.told)
    contact = desk.get(f"/v1/contacts/{lost.contact['contact_id']}").json
    assert contact["decision"]["window"] == before["window"]
    assert contact["decision"]["days"] == before["days"]
    assert lost.contact["contact_id"] in {one["contact_id"] for one in desk.get("/v1/contacts").json["items"]}
    assert desk.get(f"/v1/cancellations/{cancelled}").json["decision"]["days"] == lost.cancelled["decision"]["days"]
    assert desk.get("/v1/cancellations").json["items"][0]["cancellation_id"] == cancelled
    assert desk.get(f"/v1/cancellations/{cancelled}/confirmation").status_code == 200
    evidence = desk.get(f"/v1/orders/{lost.told}/evidence").json
    assert evidence["proof"]["broken"] == []
    assert [(one["days"], one["region"]) for one in evidence["promises"]] == [(before["days"], "DK")]


def test_a_new_order_or_check_in_the_country_is_refused(lost):
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DK"}
    assert slug(lost.desk.put("/v1/orders/A-1", json=facts)) == "unknown-region"
    check = {"service_provided_at": PROVIDED, "region": "DK"}
    assert slug(lost.desk.post("/v1/eligibility-checks", check)) == "unknown-region"


def test_the_service_starts_and_compares_its_promises(lost):
    with lost.store.read(COMMAND_LINE) as uow:
        assert calendars.regions_in_use(uow) == {"DE", "DK"}
    lost.store.prepare()
    watched = watch(lost.store)
    assert (watched.longer, watched.kept) == (0, 2)
    metrics = lost.desk.get("/metrics")
    assert metrics.status_code == 200
    assert "refunds_provisional_regions 0.0" in metrics.text


def test_the_doctor_says_that_the_data_has_lost_the_country(lost):
    with closing(Patient(lost.settings, Store(lost.settings))) as patient:
        found = list(doctor.CHECKS["calendars"](patient))
    bad = [one for one in found if one.level is Level.FAILED]
    assert [str(one.text) for one in bad] == ["the holiday data does not have DK"]


def test_a_replay_counts_apart_what_cannot_be_decided_again(lost):
    lost.desk.record(dated(lost))
    with lost.store.read(COMMAND_LINE) as uow:
        found = Replayed()
        assert list(replay(uow, found)) == []
    assert (found.decisions, found.differences, found.without_calendar) == (4, 0, 4)


def test_an_order_stands_too_if_the_default_policy_s_own_country_is_lost(shop):
    order_id = shop.desk.register(region=None)
    told = asked(shop, order_id)["window"]
    new = shop.desk.register(region=None, service_provided_at=None)
    with lost_country(NUMBER, "DE"):
        shop.store.prepare()
        assert asked(shop, order_id)["window"] == told
        facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED}
        assert shop.desk.put(f"/v1/orders/{new}", json=facts).status_code == 200
        assert asked(shop, new)["reason"] == "calendar_unknown"
        check = {"service_provided_at": PROVIDED}
        assert slug(shop.desk.post("/v1/eligibility-checks", check)) == "unknown-region"
        assert shop.desk.get("/v1/orders").status_code == 200


def test_a_simulation_counts_its_orders_as_undecided(lost):
    dated(lost)
    draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 9}}
    answer = lost.desk.client.post("/v1/policies/virtual-numbers/simulations", json=draft)
    assert answer.status_code == 200, answer.text
    assert (answer.json["orders"]["judged"], answer.json["undecided"]) == (0, {"unknown-region": 5})

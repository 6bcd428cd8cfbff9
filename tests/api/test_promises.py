"""What an order was told stands: after other holiday data, new versions, closures and corrections."""

from datetime import date

import pytest

from refunds.domain import regions
from refunds.domain.permissions import COMMAND_LINE
from refunds.service.replay import Replayed, replay
from refunds.service.watch import watch
from refunds.web import create_app
from tests.api.conftest import LATE, PROVIDED, Desk, slug
from tests.changed_data import EVERYWHERE, other_holidays
from tests.conftest import client_of, settings

LAST_DAY = "2026-04-08"
EASTER = [(EVERYWHERE, date(2026, 4, 3)), (EVERYWHERE, date(2026, 4, 6))]
"""Good Friday and Easter Monday."""
NEW_HOLIDAY = (EVERYWHERE, date.fromisoformat(LAST_DAY))
UNKNOWN = "2026-12-30T10:00:00+05:30"
"""A service in Sri Lanka whose window is beyond the holiday data."""


def asked(desk, order_id, at=None):
    """The decision on a request for an order, now or at an instant."""
    answer = desk.get(f"/v1/orders/{order_id}/eligibility", query_string={"requested_at": at} if at else {})
    assert answer.status_code == 200, answer.text
    return answer.json


def ends(decision):
    """The last day of the window of a decision, and whether it was kept."""
    return decision["window"]["last_day"], "promise_kept" in decision["notices"]


def promised(desk, order_id):
    """The last days that an order was promised, in the order in which that was journalled."""
    return [event["data"]["last_day"] for event in desk.feed(order_id) if event["type"] == "order.promised"]


def corrected(desk, order_id, **facts):
    """Correct an order from the state that it is in now."""
    tag = desk.get(f"/v1/orders/{order_id}").headers["ETag"]
    body = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"} | facts
    answer = desk.put(f"/v1/orders/{order_id}", json=body | {"correction_reason": "a slip"}, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_registration_promises_the_window(billing):
    order_id = billing.register()
    registered, event = billing.feed(order_id)
    told = {"service_day": "2026-04-02", "last_day": LAST_DAY, "deadline": "2026-04-08T22:00:00Z"}
    assert registered["data"]["promise"] == told
    assert event["type"] == "order.promised"
    assert event["data"] == told | {"cause": "registered"}
    assert event["subject"].startswith("prm_")


def test_an_order_without_a_date_is_promised_nothing_until_it_has_one(billing):
    order_id = billing.register(service_provided_at=None)
    assert promised(billing, order_id) == []
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"}
    assert billing.put(f"/v1/orders/{order_id}", json=facts).status_code == 200
    assert promised(billing, order_id) == ["2026-04-08"]


def test_a_holiday_that_the_data_loses_still_does_not_count(billing, agent):
    order_id = billing.register()
    with other_holidays("99.0", lost=EASTER):
        assert ends(asked(billing, billing.register())) == ("2026-04-06", False), "a new order is counted by them"
        decision = asked(billing, order_id)
        assert (decision["eligible"], *ends(decision)) == (True, LAST_DAY, True)
        assert decision["window"]["deadline"] == "2026-04-08T22:00:00Z"
        holiday = decision["days"][1]
        assert (holiday["why"], holiday["name"], holiday["name_language"]) == ("public_holiday", "Good Friday", "en")
        contact = agent.record(order_id).json
        assert (contact["decision"]["eligible"], *ends(contact["decision"])) == (True, LAST_DAY, True)
        cancelled = agent.cancelled(order_id)
        assert ends(cancelled["decision"]) == (LAST_DAY, True)
    assert promised(billing, order_id) == [LAST_DAY]


def test_a_holiday_that_the_data_gains_lengthens_what_was_told(billing, agent):
    order_id = billing.register()
    with other_holidays("99.0", added=[NEW_HOLIDAY]):
        assert ends(asked(billing, order_id)) == ("2026-04-09", False)
        agent.record(order_id)
    assert ends(asked(billing, order_id)) == ("2026-04-09", True), "a contact was told so"
    assert promised(billing, order_id) == [LAST_DAY, "2026-04-09"]


@pytest.fixture
def alone(engine, now):
    """A desk, and its store, which has no orders of other tests: the watch looks at every one."""
    app = create_app(settings(engine=engine))
    store = app.extensions["refunds.store"]
    yield Desk(client_of(app, "billing"), now), store
    store.close()


def test_the_watch_promises_longer_windows_before_anybody_asks(alone):
    billing, store = alone
    order_id = billing.register()
    watch(store)
    with other_holidays("99.0", added=[NEW_HOLIDAY]):
        found = watch(store)
        assert found.longer > 0
        assert not found.older
        assert watch(store).longer == 0
    assert promised(billing, order_id)[-1] == "2026-04-09"
    assert ends(asked(billing, order_id)) == ("2026-04-09", True)
    changed = billing.get("/v1/events?types=calendar.changed").json["items"]
    assert (changed[-1]["order_id"], changed[-1]["data"]["to"].split(",")[0]) == (None, "holidays 99.0")


def test_a_correction_by_billing_promises_the_window_of_the_new_facts(billing):
    order_id = billing.register()
    corrected(billing, order_id, service_provided_at="2026-04-01T10:00:00Z")
    assert ends(asked(billing, order_id)) == ("2026-04-07", False)
    assert promised(billing, order_id) == [LAST_DAY, "2026-04-07"]
    corrected(billing, order_id)
    with other_holidays("99.0", lost=EASTER):
        assert ends(asked(billing, order_id)) == (LAST_DAY, True), "it is what was told for these facts"
    assert promised(billing, order_id) == [LAST_DAY, "2026-04-07"]


def test_the_evidence_has_every_promise_whole_and_why_it_was_made(billing, supervisor):
    order_id = billing.register()
    corrected(billing, order_id, service_provided_at="2026-04-01T10:00:00Z")
    first, second = supervisor.get(f"/v1/orders/{order_id}/evidence").json["promises"]
    assert [(one["cause"], one["last_day"], one["current"]) for one in (first, second)] == [
        ("registered", LAST_DAY, False),
        ("corrected", "2026-04-07", True),
    ]
    assert second.items() > billing.get(f"/v1/orders/{order_id}").json["promise"].items()
    assert [one["status"] for one in first["days"]] == ["service_day", *["skipped"] * 4, "counted", "counted"]
    assert first["days"][1]["name"] == "Good Friday"
    assert (first["region"], first["promised_by"]) == ("DE-BY", billing.feed(order_id)[0]["actor"])


def test_a_correction_that_changes_no_window_keeps_the_promise(billing):
    order_id = billing.register()
    corrected(billing, order_id, customer_ref="K-other")
    with other_holidays("99.0", lost=EASTER):
        assert ends(asked(billing, order_id)) == (LAST_DAY, True)
    assert promised(billing, order_id) == [LAST_DAY]


@pytest.mark.parametrize(
    "facts", [{"ordered_at": "2026-04-01T10:00:00Z"}, {"service_provided_at": "2026-04-02T16:21:00+02:00"}]
)
def test_a_correction_of_facts_that_move_no_window_keeps_the_promise(billing, facts):
    order_id, moved = billing.register(), billing.register()
    with other_holidays("99.0", lost=EASTER):
        corrected(billing, order_id, **facts)
        assert ends(asked(billing, order_id)) == (LAST_DAY, True)
        corrected(billing, moved, service_provided_at="2026-04-01T10:00:00Z")
        assert ends(asked(billing, moved)) == ("2026-04-03", False), "of wrong facts, nothing was promised"
    assert promised(billing, order_id) == [LAST_DAY, LAST_DAY]
    assert ends(asked(billing, order_id)) == (LAST_DAY, False)


def test_a_shorter_window_after_a_correction_is_no_refusal_if_a_contact_was_told_more(billing, agent, supervisor):
    order_id = billing.register()
    agent.record(order_id, intent="question")
    corrected(billing, order_id, service_provided_at="2026-03-31T10:00:00Z")
    decision = asked(billing, order_id)
    assert (decision["eligible"], decision["reason"]) == (False, "window_elapsed")
    assert "told_before_correction" in decision["notices"]
    refused = agent.issue(order_id)
    assert slug(refused) == "not-refundable"
    override = {"kind": "deadline_accepted", "reason": "We told them so."}
    issued = supervisor.issue(order_id, contact_id=refused.json["contact_id"], override=override)
    assert issued.status_code == 201, issued.text
    assert (issued.json["basis"], issued.json["override"]["kind"]) == ("policy", "deadline_accepted")
    assert "deadline_accepted" in issued.json["decision"]["notices"]
    assert issued.json["decision"]["reason_text"] == "A supervisor accepted that the request was in time."


def test_a_request_after_what_was_told_is_too_late_for_a_supervisor_to_accept(billing, agent, supervisor, now):
    order_id = billing.register()
    agent.record(order_id, intent="question")
    corrected(billing, order_id, service_provided_at="2026-03-31T10:00:00Z")
    now.move_to(LATE)
    assert "told_before_correction" not in asked(billing, order_id)["notices"]
    override = {"kind": "deadline_accepted", "reason": "We told them so."}
    assert slug(supervisor.issue(order_id, override=override)) == "not-refundable"


def test_a_request_that_was_entered_in_time_stays_so_if_the_data_loses_holidays(agent, now):
    order_id, received = agent.register(), "2026-04-02T15:00:00Z"
    now.move_to("2026-04-13T09:00:00Z")
    contact = agent.record(order_id, received_at=received, ticket_ref="T-1").json
    assert contact["decision"]["reason"] == "within_window"
    with other_holidays("99.0", lost=EASTER):
        other = agent.record(agent.register(), received_at=received, ticket_ref="T-2").json
        assert other["decision"]["reason"] == "late_entry_needs_supervisor", "nothing was told about this one"
        assert asked(agent, order_id)["reason"] == "within_window"
        correction = {"received_at": received, "ticket_ref": "T-3", "supersedes": contact["contact_id"]}
        contact = agent.record(order_id, **correction).json
        assert contact["decision"]["reason"] == "within_window", "a correction makes nobody late"
        cancelled = agent.cancelled(order_id, contact_id=contact["contact_id"])
        assert (cancelled["basis"], cancelled["decision"]["reason"]) == ("policy", "within_window")


def test_a_later_end_that_a_revoked_cancellation_told_counts_as_that_of_a_contact(billing, agent, supervisor, now):
    order_id = billing.register()
    contact_id = agent.record(order_id).json["contact_id"]
    with other_holidays("99.0", added=[NEW_HOLIDAY]):
        cancelled = agent.cancelled(order_id, contact_id=contact_id)
    assert ends(cancelled["decision"]) == ("2026-04-09", False)
    revocation = f"/v1/cancellations/{cancelled['cancellation_id']}/revocation"
    assert supervisor.put(revocation, json={"reason_code": "customer_kept_order"}).status_code == 200
    corrected(billing, order_id, service_provided_at="2026-03-31T10:00:00Z")
    now.move_to(LATE)
    decision = asked(billing, order_id)
    assert (decision["reason"], decision["verdict"]) == ("window_elapsed", "needs_supervisor")
    assert "told_before_correction" in decision["notices"]


def test_an_order_that_no_contact_was_told_of_is_judged_by_its_corrected_facts(billing):
    order_id = billing.register()
    corrected(billing, order_id, service_provided_at="2026-03-31T10:00:00Z")
    assert "told_before_correction" not in asked(billing, order_id)["notices"]


def test_nothing_is_lost_because_no_calendar_covers_it(billing, agent, supervisor, now):
    order_id = billing.register(service_provided_at=UNKNOWN, region="LK")
    now.move_to(UNKNOWN)
    decision = asked(billing, order_id)
    assert (decision["eligible"], decision["reason"], decision["window"]) == (False, "calendar_unknown", None)
    refused = agent.issue(order_id)
    assert (refused.status_code, slug(refused)) == (409, "not-refundable")
    contact = agent.get(f"/v1/contacts/{refused.json['contact_id']}").json
    assert (contact["open"], contact["decision"]["reason"]) == (True, "calendar_unknown")
    override = {"kind": "deadline_accepted", "reason": "It came the day after."}
    issued = supervisor.issue(order_id, contact_id=contact["contact_id"], override=override).json
    assert (issued["state"], issued["basis"], issued["decision"]["window"]) == ("issued", "policy", None)


def test_nobody_is_told_that_holidays_of_long_ago_will_be_known(billing):
    order_id = billing.register(service_provided_at="1950-01-03T10:00:00Z")
    decision = asked(billing, order_id)
    text = "The holidays of the days in question are not known."
    assert (decision["reason"], decision["reason_text"]) == ("calendar_unknown", text)


def test_a_window_at_the_end_of_the_data_is_promised_once_newer_data_covers_it(app, billing, now):
    order_id = billing.register(service_provided_at=UNKNOWN, region="LK")
    now.move_to(UNKNOWN)
    assert asked(billing, order_id)["reason"] == "calendar_unknown"
    assert promised(billing, order_id) == []
    answer = billing.post("/v1/eligibility-checks", {"service_provided_at": UNKNOWN, "region": "LK"})
    assert slug(answer) == "calendar-not-covered", "a check alone promises nothing and loses nothing"
    with other_holidays("99.0", more_years=1):
        watch(app.extensions["refunds.store"])
        assert ends(asked(billing, order_id)) == ("2027-01-01", False)
    assert promised(billing, order_id) == ["2027-01-01"]
    assert ends(asked(billing, order_id)) == ("2027-01-01", True)


def test_a_closure_that_extends_a_promised_window_beyond_the_data_lets_no_request_be_too_late(now):
    """Only the promised end is known: until then requests are in time, later ones are for a supervisor."""
    app = create_app(settings())
    billing, agent = Desk(client_of(app, "billing"), now), Desk(client_of(app, "agent"), now)
    now.move_to("2026-12-14T10:00:00Z")
    order_id = billing.register(service_provided_at="2026-12-29T10:00:00+05:30", region="LK")
    assert promised(billing, order_id) == ["2026-12-31"]
    closed = client_of(app).post("/v1/policies/virtual-numbers/closures", json={"date": "2026-12-31"})
    assert closed.status_code == 201, closed.text
    now.move_to("2026-12-31T22:59:59Z")
    assert asked(billing, order_id)["reason"] == "within_window"
    assert ends(asked(billing, order_id)) == ("2026-12-31", True)
    now.shift(1)
    assert asked(billing, order_id)["verdict"] == "needs_supervisor"
    contact = agent.record(order_id).json
    assert (contact["open"], contact["decision"]["reason"]) == (True, "calendar_unknown")
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        assert list(replay(uow, Replayed())) == []
    app.extensions["refunds.store"].close()


def test_a_cancellation_on_a_stored_contact_promises_the_end_that_it_tells(billing, agent):
    order_id = billing.register()
    contact = agent.record(order_id).json["contact_id"]
    with other_holidays("9.1", added=[(EVERYWHERE, date(2026, 4, 7))]):
        issued = agent.issue(order_id, contact_id=contact).json
        assert issued["decision"]["window"]["last_day"] == "2026-04-09"
    assert promised(billing, order_id) == [LAST_DAY, "2026-04-09"]


@pytest.fixture
def drops(monkeypatch):
    """Makes the holiday data lose regions."""

    def drop(*lost):
        known = regions.subdivisions
        kept = {
            country: tuple(code for code in known(country) if f"{country}-{code}" not in lost) for country in ["DE"]
        }
        monkeypatch.setattr(regions, "subdivisions", lambda country: kept.get(country) or known(country))
        regions.place.cache_clear()

    yield drop
    regions.place.cache_clear()


def test_an_order_in_a_region_that_the_data_loses_is_counted_by_its_country(billing, agent, supervisor, drops):
    told, untold = (
        billing.register(region="DE-Augsburg"),
        billing.register(service_provided_at=None, region="DE-Augsburg"),
    )
    contact = agent.record(told, intent="question").json
    drops("DE-Augsburg")
    new = billing.put(
        "/v1/orders/A-1", json={"customer_ref": "K", "service_provided_at": None, "region": "DE-Augsburg"}
    )
    assert slug(new) == "unknown-region"
    assert ends(asked(billing, told)) == (LAST_DAY, False)
    assert asked(billing, told)["calendar"]["region"] == "DE"
    assert asked(billing, untold)["reason"] == "service_not_yet_provided"
    recorded = agent.get(f"/v1/contacts/{contact['contact_id']}").json["decision"]
    assert (recorded["calendar"]["region"], recorded["days"][1]["name"]) == ("DE-Augsburg", "Good Friday")
    assert agent.cancelled(told)["state"] == "issued"
    facts = {"customer_ref": "K-20391", "region": "DE-Augsburg", "service_provided_at": PROVIDED}
    completed = billing.put(f"/v1/orders/{untold}", json=facts)
    assert (completed.status_code, ends(asked(billing, untold))) == (200, (LAST_DAY, False))

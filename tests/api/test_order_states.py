"""The state of an order and the window that it was promised: shown, listed by, and part of its ETag."""

import csv
from io import StringIO
from itertools import count

import pytest

from tests.api.conftest import IN_TIME, LATE, PROVIDED, places, slug

_regions = count()
REGIONS = ["CA", "NY", "TX", "WA", "OR", "NV", "UT", "CO", "OH", "MI", "IA", "ID", "KS", "MN", "WI", "IL", "MO", "AR"]
REGIONS += ["MT", "WY", "SD", "NE", "NM", "AZ", "VA", "WV", "PA", "NC", "SC", "GA", "MS", "OK", "ND", "VT", "NH", "RI"]

PROMISE = {
    "service_day": "2026-04-02",
    "length": 2,
    "last_day": "2026-04-08",
    "deadline": "2026-04-08T22:00:00Z",
    "deadline_local": "2026-04-09T00:00:00+02:00",
    "time_zone": "Europe/Berlin",
    "provisional": False,
    "promised_at": "2026-04-08T21:05:00Z",
}

# In most of the United States, every one of these days is a business day. The windows end at midnight in Berlin, 22:00 UTC.
TUESDAY, WEDNESDAY, THURSDAY = (f"2026-04-{day:02}T10:00:00Z" for day in (7, 8, 9))
ENDS = {TUESDAY: "2026-04-09T22:00:00Z", WEDNESDAY: "2026-04-10T22:00:00Z", THURSDAY: "2026-04-13T22:00:00Z"}


@pytest.fixture
def region():
    """A region in which no other test registers orders."""
    return f"US-{REGIONS[next(_regions) % len(REGIONS)]}"


@pytest.fixture
def three(billing, region):
    """Three orders of a region, registered an hour apart; the later the registration, the earlier the deadline."""
    billing.clock.move_to("2026-04-09T12:00:00Z")
    registered = []
    for provided in (THURSDAY, WEDNESDAY, TUESDAY):
        registered.append(billing.register(region=region, service_provided_at=provided))
        billing.clock.shift(3600)
    return registered


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [item["order_id"] for item in answer.json["items"]]


def open_order(desk, facts):
    return desk.register(**facts)


def undated(desk, facts):
    order_id = desk.register(**facts | {"service_provided_at": None})
    desk.clock.move_to("2026-06-01T00:00:00Z")
    return order_id


def elapsed(desk, facts):
    order_id = desk.register(**facts)
    desk.clock.move_to(ENDS[TUESDAY])
    return order_id


def requested(desk, facts):
    order_id = desk.register(**facts)
    assert desk.record(order_id).status_code == 201
    desk.clock.move_to(ENDS[TUESDAY])
    return order_id


def with_question(desk, facts):
    order_id = desk.register(**facts)
    assert desk.record(order_id, intent="question").status_code == 201
    return order_id


def cancelled(desk, facts, then=None, **body):
    cancellation = desk.cancelled(desk.register(**facts))
    if then:
        changed = desk.put(f"/v1/cancellations/{cancellation['cancellation_id']}/{then}", json=body)
        assert changed.status_code == 200, changed.text
    return cancellation["order_id"]


def refunding(desk, facts):
    return cancelled(desk, facts, "refund")


def settled(desk, facts):
    return cancelled(desk, facts, "settlement", billing_ref="RF-1")


def revoked(desk, facts):
    return cancelled(desk, facts, "revocation", reason_code="customer_kept_order")


def revoked_as_an_error(desk, facts):
    return cancelled(desk, facts, "revocation", reason_code="entered_in_error")


STATES = [
    (open_order, "open"),
    (undated, "open"),
    (with_question, "open"),
    (elapsed, "elapsed"),
    (requested, "requested"),
    (revoked, "open"),
    (revoked_as_an_error, "requested"),
    (cancelled, "cancelled"),
    (refunding, "refunding"),
    (settled, "settled"),
]


@pytest.mark.parametrize(("made", "state"), STATES)
def test_an_order_shows_its_state_wherever_it_is_shown(admin, region, made, state):
    facts = {"customer_ref": f"K-{region}", "service_provided_at": TUESDAY, "region": region}
    order_id = made(admin, facts)
    shown = admin.get(f"/v1/orders/{order_id}").json
    assert shown["state"] == state
    facts["service_provided_at"] = shown["service_provided_at"]
    assert admin.put(f"/v1/orders/{order_id}", json=facts).json == shown
    assert admin.get(f"/v1/orders/{order_id}/evidence").json["order"] == shown
    found = admin.client.post("/v1/customers/lookup", json={"customer_ref": f"K-{region}"}).json
    assert found["items"] == admin.get(f"/v1/orders?region={region}").json["items"] == [shown]
    for asked in {state for _, state in STATES}:
        assert ids(admin.get(f"/v1/orders?region={region}&state={asked}")) == [order_id] * (asked == state)


def test_an_order_shows_the_window_that_it_was_promised(billing):
    made = billing.put(
        "/v1/orders/promised", json={"customer_ref": "K-1", "service_provided_at": PROVIDED, "region": "DE-BY"}
    )
    assert (made.json["state"], made.json["promise"]) == ("open", PROMISE)
    assert billing.get("/v1/orders/promised").json == made.json


@pytest.mark.parametrize("provided", [None, "2200-01-01T00:00:00Z"])
def test_an_order_whose_window_is_not_known_shows_no_promise(billing, provided):
    order_id = billing.register(service_provided_at=provided)
    shown = billing.get(f"/v1/orders/{order_id}").json
    assert (shown["state"], shown["promise"]) == ("open", None)


def test_an_order_that_is_registered_after_its_deadline_is_elapsed_at_once(billing, now):
    now.move_to(LATE)
    facts = {"customer_ref": "K-1", "service_provided_at": PROVIDED, "region": "DE-BY"}
    assert billing.put("/v1/orders/elapsed-at-once", json=facts).json["state"] == "elapsed"


def test_a_promise_follows_a_correction(billing, admin):
    order_id = billing.register()
    corrected = {"customer_ref": "K-20391", "service_provided_at": "2026-04-07T10:00:00Z", "region": "DE-BY"}
    reason = {"correction_reason": "another day"}
    shown = billing.put(f"/v1/orders/{order_id}", json=corrected | reason, headers={"If-Match": '"1"'}).json
    assert shown["promise"]["last_day"] == "2026-04-09"
    assert shown == billing.get(f"/v1/orders/{order_id}").json
    undone = corrected | {"service_provided_at": None, "correction_reason": "not provided"}
    shown = billing.put(f"/v1/orders/{order_id}", json=undone, headers={"If-Match": '"2"'}).json
    assert (shown["state"], shown["promise"]) == ("open", None)
    assert shown == billing.get(f"/v1/orders/{order_id}").json
    assert admin.get(f"/v1/orders/{order_id}/evidence").json["proof"]["sound"]


def test_the_windows_that_end_within_a_time_are_listed_the_next_to_end_first(billing, three, region):
    ends = [billing.get(f"/v1/orders/{order_id}").json["promise"]["deadline"] for order_id in three]
    assert ends == [ENDS[THURSDAY], ENDS[WEDNESDAY], ENDS[TUESDAY]]
    path = f"/v1/orders?region={region}"
    assert ids(billing.get(f"{path}&deadline_from={ends[2]}")) == three[::-1]
    assert ids(billing.get(f"{path}&deadline_from={ends[2]}&order=newest")) == three
    assert ids(billing.get(f"{path}&deadline_to={ends[0]}")) == [three[2], three[1]]
    assert ids(billing.get(f"{path}&deadline_from={ends[1]}&deadline_to={ends[0]}")) == [three[1]]
    assert ids(billing.get(f"{path}&deadline_from={ends[1]}&deadline_to={ends[1]}")) == []
    assert ids(billing.get(path)) == three, "without these filters, as they were registered"


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_windows_are_listed_page_by_page(billing, region, order):
    same = sorted(billing.register(region=region, service_provided_at=TUESDAY) for _ in range(3))
    later = billing.register(region=region, service_provided_at=WEDNESDAY)
    listed, path = [], f"/v1/orders?region={region}&deadline_from={IN_TIME}&limit=1&order={order}"
    following = ""
    while following is not None:
        page = billing.get(path + following)
        listed += ids(page)
        following = page.json["next"] and f"&after={page.json['next']}"
    assert listed == ([*same, later] if order == "oldest" else [later, *same[::-1]])


def test_states_and_windows_are_filtered_together(billing, three, region):
    thursday, wednesday, tuesday = three
    assert billing.record(tuesday).status_code == 201
    billing.cancelled(wednesday)
    path = f"/v1/orders?region={region}"
    today = f"deadline_from={TUESDAY}&deadline_to=2026-04-10T12:00:00Z"
    assert ids(billing.get(f"{path}&{today}")) == [tuesday]
    assert ids(billing.get(f"{path}&{today}&state=open")) == []
    assert ids(billing.get(f"{path}&{today}&state=requested&without_service_date=false")) == [tuesday]
    assert ids(billing.get(f"{path}&deadline_from={TUESDAY}&state=cancelled&policy=virtual-numbers")) == [wednesday]
    assert ids(billing.get(f"{path}&state=open")) == [thursday]
    billing.clock.move_to(ENDS[THURSDAY])
    assert ids(billing.get(f"{path}&state=open")) == []
    assert ids(billing.get(f"{path}&state=elapsed&registered_from={TUESDAY}")) == [thursday]
    assert ids(billing.get(f"{path}&state=elapsed&deadline_to={ENDS[WEDNESDAY]}")) == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("deadline_from=2026-04-02T00:00:00Z&deadline_to=2026-04-01T00:00:00Z", "/deadline_to"),
        ("deadline_from=2026-04-02", "/deadline_from"),
        ("deadline_to=tomorrow", "/deadline_to"),
        ("state=revoked", "/state"),
        ("state=", "/state"),
    ],
)
def test_filters_that_do_not_fit_are_refused(billing, query, place):
    answer = billing.get(f"/v1/orders?{query}")
    assert (answer.status_code, slug(answer), places(answer)) == (422, "validation-error", [place])


@pytest.mark.parametrize("few", [1, 500])
@pytest.mark.parametrize(("made", "state"), [(requested, "requested"), (cancelled, "cancelled"), (settled, "settled")])
def test_a_state_lists_the_same_whether_it_has_few_orders_or_many(admin, region, monkeypatch, few, made, state):
    monkeypatch.setattr("refunds.storage.orders._FEW", few)
    facts = {"service_provided_at": TUESDAY, "region": region}
    first, second = (made(admin, facts) for _ in range(2))
    open_order(admin, facts)
    for more in ("", f"&deadline_from={TUESDAY}", f"&deadline_to={ENDS[THURSDAY]}"):
        path = f"/v1/orders?region={region}&state={state}{more}"
        assert ids(admin.get(path)) == [first, second]
        page = admin.get(f"{path}&limit=1&order=newest")
        following = admin.get(f"{path}&limit=1&order=newest&after={page.json['next']}")
        assert ids(page) + ids(following) == [second, first]


def test_a_window_that_ends_between_two_pages_is_no_longer_listed_as_open(billing, three, region):
    path = f"/v1/orders?region={region}&state=open&deadline_to=2026-05-01T00:00:00Z&limit=1"
    page = billing.get(path)
    assert ids(page) == [three[2]]
    billing.clock.move_to(ENDS[WEDNESDAY])
    assert ids(billing.get(f"{path}&after={page.json['next']}")) == [three[0]]


def test_a_cursor_of_other_filters_is_refused(billing, three, region):
    path = f"/v1/orders?region={region}&limit=1"
    cursors = [billing.get(f"{path}{more}").json["next"] for more in ("", f"&deadline_from={TUESDAY}", "&state=open")]
    asked = ["", f"&deadline_from={TUESDAY}", "&state=open", f"&deadline_from={WEDNESDAY}", "&state=elapsed"]
    for number, cursor in enumerate(cursors):
        for other in asked:
            answer = billing.get(f"{path}{other}&after={cursor}")
            if other == asked[number]:
                assert answer.status_code == 200
            else:
                assert (answer.status_code, slug(answer)) == (400, "invalid-cursor"), other


def test_an_etag_changes_with_the_state_and_a_correction_goes_by_the_revision(billing):
    order_id = billing.register()
    url = f"/v1/orders/{order_id}"
    before = billing.get(url).headers["ETag"]
    assert before.startswith('"1-')
    assert billing.get(url, headers={"If-None-Match": before}).status_code == 304
    assert billing.record(order_id).status_code == 201
    after = billing.get(url, headers={"If-None-Match": before})
    assert (after.status_code, after.json["state"], after.json["revision"]) == (200, "requested", 1)
    assert after.headers["ETag"] != before
    right = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "correction_reason": "wrong place"}
    corrected = billing.put(url, json=right | {"region": "DE-BE"}, headers={"If-Match": before})
    assert (corrected.status_code, corrected.json["revision"]) == (200, 2)
    assert corrected.headers["ETag"].startswith('"2-')
    assert corrected.headers["ETag"] == billing.get(url).headers["ETag"]
    stale = billing.put(url, json=right | {"region": "DE-HH"}, headers={"If-Match": after.headers["ETag"]})
    assert (stale.status_code, slug(stale)) == (412, "precondition-failed")
    assert billing.put(url, json=right | {"region": "DE-HH"}, headers={"If-Match": '"2"'}).json["revision"] == 3


def test_an_etag_changes_when_billing_confirms_the_facts_of_an_agent(agent, billing):
    order_id = agent.register()
    before = agent.get(f"/v1/orders/{order_id}")
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"}
    confirmed = billing.put(f"/v1/orders/{order_id}", json=facts)
    assert confirmed.json["revision"] == before.json["revision"]
    assert confirmed.headers["ETag"] != before.headers["ETag"]


@pytest.mark.parametrize("tag", ["1", '"1-"', '"1-x"', '"-1"', '"1-00000000"x', 'W/"1-00000000"'])
def test_what_is_no_etag_of_an_order_is_refused(billing, tag):
    order_id = billing.register()
    other = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "correction_reason": "x"}
    refused = billing.put(f"/v1/orders/{order_id}", json=other, headers={"If-Match": tag})
    assert (refused.status_code, slug(refused)) == (412, "precondition-failed")
    assert "send its ETag with the quotes" in refused.json["detail"]


def test_the_table_of_orders_has_state_and_window(agent, billing, region):
    waiting = billing.register(region=region, service_provided_at=None)
    stated = agent.register(region=region, service_provided_at=TUESDAY)
    billing.cancelled(stated)

    def table(query):
        answer = billing.get(f"/v1/orders?region={region}{query}", headers={"Accept": "text/csv"})
        return {row["order_id"]: row for row in csv.DictReader(StringIO(answer.text))}

    columns = ("state", "last_day", "deadline", "facts_entered_by_agent")
    rows = {order_id: tuple(row[name] for name in columns) for order_id, row in table("").items()}
    assert rows == {
        waiting: ("open", "", "", "false"),
        stated: ("cancelled", "2026-04-09", ENDS[TUESDAY], "true"),
    }
    assert list(table("&state=open")) == [waiting]
    assert list(table(f"&deadline_from={ENDS[TUESDAY]}&order=newest")) == [stated]

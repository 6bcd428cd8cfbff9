"""Lists of orders, contacts and cancellations: filters, contradictions, tables; and orders registered in batches."""

import csv
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import count

import pytest

from refunds.presentation import tables
from refunds.service import orders
from tests.api.conftest import IN_TIME, LATE, PROVIDED, places, slug
from tests.conftest import client_of

_regions = count()
REGIONS = ["AT-1", "AT-2", "AT-3", "AT-4", "AT-5", "AT-6", "AT-7", "AT-8", "AT-9", "CH-ZH", "CH-BE", "CH-GE", "CH-VD"]


@pytest.fixture
def region():
    """A region in which no other test registers orders."""
    return REGIONS[next(_regions) % len(REGIONS)]


@pytest.fixture
def three(billing, now, region):
    """Three orders of a region, registered an hour apart."""
    registered = []
    for _ in range(3):
        registered.append(billing.register(region=region))
        now.shift(3600)
    return registered


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [item["order_id"] for item in answer.json["items"]]


def table(answer):
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8"), answer.text
    return list(csv.DictReader(StringIO(answer.text)))


def test_orders_are_listed_page_by_page_the_oldest_or_the_newest_first(billing, three, region):
    for order, expected in (("oldest", three), ("newest", three[::-1])):
        path = f"/v1/orders?region={region}&order={order}&limit=2"
        first = billing.get(path)
        assert ids(first) + ids(billing.get(f"{path}&after={first.json['next']}")) == expected
    assert ids(billing.get(f"/v1/orders?region={region}")) == three
    assert billing.get(f"/v1/orders?region={region}").json["next"] is None


def test_orders_registered_at_the_same_instant_are_listed_once_each(billing, region):
    registered = sorted(billing.register(region=region) for _ in range(3))
    listed, path = [], f"/v1/orders?region={region}&limit=1"
    following = ""
    while following is not None:
        page = billing.get(path + following)
        listed += ids(page)
        following = page.json["next"] and f"&after={page.json['next']}"
    assert listed == registered


def test_a_range_of_times_has_its_beginning_and_not_its_end(billing, three, region):
    at = [billing.get(f"/v1/orders/{order_id}").json["registered_at"] for order_id in three]
    listed = billing.get(f"/v1/orders?region={region}&registered_from={at[0]}&registered_to={at[2]}")
    assert ids(listed) == three[:2]
    assert ids(billing.get(f"/v1/orders?region={region}&registered_from={at[0]}&registered_to={at[0]}")) == []


def test_orders_are_filtered_by_policy_and_by_whether_they_are_provided(billing, region):
    waiting = billing.register(region=region, service_provided_at=None)
    provided = billing.register(region=region)
    path = f"/v1/orders?region={region}"
    assert ids(billing.get(f"{path}&without_service_date=true")) == [waiting]
    assert ids(billing.get(f"{path}&without_service_date=false")) == [provided]
    assert ids(billing.get(f"{path}&policy=virtual-numbers")) == sorted([waiting, provided])
    assert ids(billing.get(f"{path}&policy=other")) == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("orders?registered_from=2026-04-02T00:00:00Z&registered_to=2026-04-01T00:00:00Z", "/registered_to"),
        ("cancellations?issued_from=2026-04-02T00:00:00Z&issued_to=2026-04-01T00:00:00Z", "/issued_to"),
        ("cancellations?settled_from=2026-04-02T00:00:00Z&settled_to=2026-04-01T00:00:00Z", "/settled_to"),
        ("cancellations?overdue=true&order=newest", "/order"),
        ("cancellations?overdue=true&state=settled", "/state"),
        ("cancellations?overdue=true&state=revoked", "/state"),
        ("cancellations?overdue=true&settled_from=2026-04-02T00:00:00Z", "/overdue"),
        ("cancellations?state=issued&settled_to=2026-04-02T00:00:00Z", "/state"),
        ("orders?registered_from=2026-04-02", "/registered_from"),
        ("orders?order=random", "/order"),
        ("orders?state=open", "/state"),
        ("orders?limit=201", "/limit"),
    ],
)
def test_filters_that_contradict_each_other_or_do_not_fit_are_refused(billing, query, place):
    answer = billing.get(f"/v1/{query}")
    assert (answer.status_code, slug(answer), places(answer)) == (422, "validation-error", [place])


@pytest.mark.parametrize("query", ["overdue=true&state=refunding", "overdue=true&order=oldest", "overdue=false"])
def test_filters_that_agree_are_used(billing, query):
    assert billing.get(f"/v1/cancellations?{query}").status_code == 200


def test_a_cursor_of_other_filters_or_of_another_list_is_refused(billing, three, region):
    cursor = billing.get(f"/v1/orders?region={region}&limit=1").json["next"]
    assert ids(billing.get(f"/v1/orders?region={region}&after={cursor}")) == three[1:]
    for other in (f"orders?region={region}&order=newest", "orders?region=FR", "orders?limit=1", "contacts?limit=1"):
        answer = billing.get(f"/v1/{other}&after={cursor}")
        assert (answer.status_code, slug(answer)) == (400, "invalid-cursor"), other


def test_cancellations_are_filtered_by_basis_policy_and_issuer(supervisor, agent, now):
    by_agent = agent.cancelled()
    order_id = agent.register()
    now.move_to(LATE)
    goodwill = supervisor.cancelled(order_id, override={"kind": "goodwill", "reason": "Our line was down."})

    def listed(query):
        return [one["cancellation_id"] for one in agent.get(f"/v1/cancellations?{query}").json["items"]]

    granted = f"order_id={order_id}&issued_by={goodwill['issued_by']}&basis=goodwill"
    assert listed(granted) == [goodwill["cancellation_id"]]
    assert by_agent["cancellation_id"] not in listed(f"basis=goodwill&order_id={by_agent['order_id']}")
    assert listed(f"order_id={by_agent['order_id']}&issued_by={by_agent['issued_by']}") == [by_agent["cancellation_id"]]
    assert listed(f"order_id={by_agent['order_id']}&policy=virtual-numbers") == [by_agent["cancellation_id"]]
    assert listed(f"order_id={by_agent['order_id']}&policy=other") == []
    range_of = f"issued_from={by_agent['issued_at']}&issued_to={LATE}&limit=200"
    newest, oldest = (listed(f"{range_of}&order={order}") for order in ("newest", "oldest"))
    assert newest == oldest[::-1] == sorted(newest, reverse=True)


def test_cancellations_are_filtered_by_when_they_were_issued_and_settled(billing, now):
    issued = [billing.cancelled()]
    now.shift(60)
    issued.append(billing.cancelled())
    at, ids_of = issued[1]["issued_at"], [one["cancellation_id"] for one in issued]

    def listed(query):
        found = [one["cancellation_id"] for one in billing.get(f"/v1/cancellations?{query}").json["items"]]
        return [one for one in found if one in ids_of]

    assert listed(f"issued_from={issued[0]['issued_at']}&issued_to={at}&order=newest&limit=200") == ids_of[:1]
    assert listed(f"issued_from={at}&order=newest&limit=200") == ids_of[1:]
    settled = {"billing_ref": "RF-1", "settled_at": at}
    assert billing.put(f"/v1/cancellations/{ids_of[1]}/settlement", json=settled).status_code == 200
    assert listed(f"settled_from={at}&state=settled&order=newest&limit=200") == ids_of[1:]
    assert listed(f"settled_to={at}&order=newest&limit=200") == []


def test_a_list_is_a_table_if_the_client_prefers_csv(billing, three, region):
    csv_first = {"Accept": "text/csv, application/json;q=0.5"}
    page = billing.get(f"/v1/orders?region={region}&limit=2", headers=csv_first)
    assert [row["order_id"] for row in table(page)] == three[:2]
    assert (table(page)[0]["service_provided_at"], table(page)[0]["ordered_at"]) == ("2026-04-02T14:20:00Z", "")
    assert "Accept" in page.headers["Vary"]
    address, rel = page.headers["Link"].split("; ")
    assert rel == 'rel="next"'
    assert address.startswith(f"</v1/orders?region={region}&limit=2&after=")
    following = billing.get(address.strip("<>"), headers=csv_first)
    assert [row["order_id"] for row in table(following)] == three[2:]
    assert "Link" not in following.headers
    assert ids(billing.get(address.strip("<>"))) == three[2:], "the cursor is the same in both forms"


def test_an_empty_table_has_its_header(billing):
    page = billing.get("/v1/orders?policy=other", headers={"Accept": "text/csv"})
    assert page.text == tables.header(orders.Order)


@pytest.mark.parametrize("path", ["orders", "contacts", "cancellations"])
def test_another_form_than_json_and_csv_is_not_acceptable(billing, path):
    answer = billing.get(f"/v1/{path}", headers={"Accept": "text/html"})
    assert (answer.status_code, slug(answer)) == (406, "not-acceptable")


def test_what_a_spreadsheet_would_calculate_gets_an_apostrophe(agent):
    order_id = agent.register()
    note = '=HYPERLINK("https://evil.example";"a")\nand, more'
    agent.record(order_id, from_detail="+49 89 1234567", ticket_ref="@SUM(1)", note=note, intent="question")
    (row,) = table(agent.get(f"/v1/contacts?order_id={order_id}", headers={"Accept": "text/csv"}))
    assert row["from_detail"].startswith("'+49")
    assert (row["ticket_ref"], row["note"]) == ("'@SUM(1)", f"'{note}")
    assert (row["open"], row["intent"], row["reason"], row["eligible"]) == (
        "false",
        "question",
        "within_window",
        "true",
    )


def test_the_table_of_cancellations_says_whose_order_and_how_it_ended(supervisor, auditor):
    order_id = supervisor.register(customer_ref="-K 9")
    cancellation = supervisor.cancelled(order_id)
    revoked = {"reason_code": "customer_kept_order"}
    supervisor.put(f"/v1/cancellations/{cancellation['cancellation_id']}/revocation", json=revoked)
    path = f"/v1/cancellations?order_id={order_id}"
    (row,) = table(supervisor.get(path, headers={"Accept": "text/csv"}))
    assert (row["reference"], row["customer_ref"]) == (cancellation["reference"], "'-K 9")
    assert (row["state"], row["revocation_reason_code"], row["settled_at"]) == ("revoked", "customer_kept_order", "")
    assert (row["reason"], row["refund_due_by"]) == ("within_window", cancellation["refund_due_by"])
    assert table(auditor.get(path, headers={"Accept": "text/csv"}))[0]["customer_ref"] == ""


def facts(order_id, **more):
    return {"order_id": order_id, "customer_ref": "K-7", "service_provided_at": PROVIDED} | more


def batch(desk, *items):
    answer = desk.client.post("/v1/orders/batch", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def test_each_item_of_a_batch_has_its_own_outcome(billing):
    billing.register("batch-known", customer_ref="K-7", region=None)
    billing.register("batch-waits", customer_ref="K-7", region=None, service_provided_at=None)
    done = batch(
        billing,
        facts("batch-new", customer_ref="K-8"),
        facts("batch-known"),
        facts("batch-waits"),
        facts("batch-known", customer_ref="K-8"),
        facts("batch-wrong", ordered_at="2026-04-02T10:00:00"),
        facts("batch-where", region="DE-XX", customer_ref="K-only-here"),
        "nonsense",
        facts("batch-new", customer_ref="K-8"),
    )
    assert [item["status"] for item in done] == [201, 200, 200, 409, 422, 422, 422, 200]
    assert [item.get("outcome") for item in done[:3]] == ["registered", "unchanged", "completed"]
    assert [item["order_id"] for item in done[:3]] == ["batch-new", "batch-known", "batch-waits"]
    pointers = [[error["pointer"] for error in item["errors"]] for item in done[3:7]]
    assert pointers == [["/items/3/customer_ref"], ["/items/4/ordered_at"], ["/items/5/region"], ["/items/6"]]
    assert done[7]["outcome"] == "unchanged"
    assert [billing.get(f"/v1/orders/{name}").status_code for name in ("batch-wrong", "batch-where")] == [404, 404]
    found = billing.client.post("/v1/customers/lookup", json={"customer_ref": "K-only-here"}).json
    assert found["customer_id"] is None, "a refused item leaves no customer"
    assert [event["type"] for event in billing.feed("batch-waits")] == [
        *("order.registered", "order.corrected", "order.promised")
    ]
    assert billing.feed("batch-where") == []


def test_an_outcome_has_the_order_id_as_it_is_registered(billing):
    (done,) = batch(billing, facts("Ne\u0301 #1001/a,b;c", region="LU"))
    assert done["order_id"] == "N\u00e9 #1001/a,b;c"
    (row,) = table(billing.get("/v1/orders?region=LU", headers={"Accept": "text/csv"}))
    assert row["order_id"] == done["order_id"]


def test_a_batch_can_be_sent_again(billing):
    items = [facts(f"again-{number}", customer_ref=f"K-{number % 7}") for number in range(30)]
    assert {item["outcome"] for item in batch(billing, *items)} == {"registered"}
    assert {item["outcome"] for item in batch(billing, *items)} == {"unchanged"}


def test_two_batches_with_the_same_customers_do_not_lock_each_other_out(app, billing):
    """They lock the customers in the same order, whatever the order of their items."""

    def items(name, numbers):
        return [facts(f"{name}-{number}", customer_ref=f"K-both-{number}") for number in numbers]

    def sent(listed):
        return client_of(app, "billing").post("/v1/orders/batch", json={"items": listed})

    for turn in range(3):
        with ThreadPoolExecutor(2) as threads:
            forwards, backwards = items(f"one-{turn}", range(100)), items(f"other-{turn}", range(99, -1, -1))
            answers = list(threads.map(sent, (forwards, backwards)))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert {item["status"] for answer in answers for item in answer.json["items"]} == {201}


def test_of_two_rows_for_one_order_the_first_counts(billing):
    """Whichever of the customers is locked first."""
    for number in range(6):
        order_id = f"two-{number}"
        one, other = (facts(order_id, customer_ref=f"K-{number}-{name}") for name in "ab")
        assert [item["status"] for item in batch(billing, one, other)] == [201, 409]
        assert billing.get(f"/v1/orders/{order_id}").json["customer_ref"] == f"K-{number}-a"


def test_a_batch_of_several_transactions_answers_in_order(billing, monkeypatch):
    monkeypatch.setattr(orders, "CHUNK", 3)
    items = [facts(f"chunk-{number}", customer_ref=f"K-{number}") for number in range(10)]
    items[4] |= {"region": "nowhere"}
    done = batch(billing, *items)
    assert [item["status"] for item in done] == [201] * 4 + [422] + [201] * 5


def test_a_batch_has_at_most_a_thousand_orders(billing):
    answer = billing.client.post("/v1/orders/batch", json={"items": [facts(f"many-{i}") for i in range(1001)]})
    assert (answer.status_code, places(answer)) == (422, ["/items"])
    assert billing.get("/v1/orders/many-0").status_code == 404
    assert batch(billing) == []


def test_an_order_may_be_called_batch(billing):
    assert (
        billing.put("/v1/orders/batch", json={"customer_ref": "K-1", "service_provided_at": IN_TIME}).status_code == 201
    )
    assert billing.get("/v1/orders/batch").json["order_id"] == "batch"


def test_an_auditor_registers_no_orders(auditor):
    assert slug(auditor.client.post("/v1/orders/batch", json={"items": []})) == "forbidden"

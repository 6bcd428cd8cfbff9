"""Order ids as shops have them, in bodies, paths and pages; and those that are refused, with the fix."""

from urllib.parse import quote

import pytest

from tests.api.conftest import PROVIDED, places, slug

FACTS = {"customer_ref": "K-1", "service_provided_at": PROVIDED, "region": "DE-BY"}
IDS = [
    "#1001",
    "4500/10",
    "gid://shop/Order/1",
    "Bestellung Nr. 7",
    "Ä-1",
    "a?b=c&d",
    "100%",
    "x" * 128,
    "4500123456",
    "1+1",
    "日本-1",
]


def url(order_id, rest=""):
    return f"/v1/orders/{quote(order_id, safe='')}{rest}"


@pytest.mark.parametrize("order_id", IDS)
def test_an_id_that_a_shop_uses_works_everywhere(admin, order_id):
    registered = admin.put(url(order_id), json=FACTS)
    assert (registered.status_code, registered.json["order_id"]) == (201, order_id)
    assert admin.get(registered.headers["Location"]).json == registered.json
    assert admin.get(url(order_id)).json == registered.json
    assert admin.get(url(order_id, "/eligibility")).json["eligible"] is True
    contact = admin.post(url(order_id, "/contacts"), {"channel": "phone"})
    assert contact.json["order_id"] == order_id
    cancelled = admin.issue(order_id, contact_id=contact.json["contact_id"])
    assert cancelled.json["order_id"] == order_id
    assert admin.get(url(order_id, "/evidence")).json["order"]["order_id"] == order_id
    listed = admin.get(f"/v1/cancellations?order_id={quote(order_id, safe='')}").json["items"]
    assert [one["order_id"] for one in listed] == [order_id]


def test_an_id_has_one_spelling(admin):
    decomposed, composed = "A\u0308-2", "Ä-2"
    assert admin.put(url(decomposed), json=FACTS).json["order_id"] == composed
    assert admin.put(url(composed), json=FACTS).status_code == 200
    assert admin.get(url(decomposed)).json["order_id"] == composed


@pytest.mark.parametrize(
    ("order_id", "fix"),
    [
        ("a/../b", "between slashes"),
        ("./a", "between slashes"),
        ("a/eligibility", "must not end in /eligibility"),
        ("a/contacts", "must not end in /contacts"),
        ("a/evidence", "must not end in /evidence"),
        ("kim@example.org", "e-mail address"),
        ("+49 30 123456", "telephone number"),
        ("4111 1111 1111 1111", "a letter in front"),
        ("DE89 3704 0044 0532 0130 00", "payment card"),
        (" a", "without spaces at its ends"),
        ("a\u202eb", "visible characters"),
        ("a\u0007b", "control characters"),
        ("...", "a letter or a digit"),
        ("x" * 129, "128"),
    ],
)
def test_an_id_that_cannot_work_is_refused_with_the_fix(admin, order_id, fix):
    body = {"order": FACTS | {"order_id": order_id}, "contact": {"channel": "phone"}}
    refused = admin.post("/v1/cancellations", body)
    assert (refused.status_code, places(refused)) == (422, ["/order/order_id"])
    assert fix in refused.json["detail"]


def test_an_id_that_begins_with_a_slash_is_refused(admin):
    body = {"order": FACTS | {"order_id": "/a"}, "contact": {"channel": "phone"}}
    assert places(admin.post("/v1/cancellations", body)) == ["/order/order_id"]
    assert admin.put("/v1/orders/%2Fa", json=FACTS).status_code in {404, 422}


@pytest.mark.parametrize("path", ["/v1/orders/B-%C41", "/v1/orders/B-%EF%BF%BD1", "/v1/orders/B-%ED%A0%801"])
def test_an_id_that_is_not_utf_8_is_not_taken_for_another(admin, path):
    """What stands for a lost character is the same for every character: two orders would be one."""
    refused = admin.put(path, json=FACTS)
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (422, "not_utf_8")
    assert "UTF-8" in refused.json["detail"]
    assert admin.get(f"/v1/contacts?order_id={path.rpartition('/')[2]}").status_code in {400, 422}
    assert slug(admin.post(f"{path}/contacts", {"channel": "phone"})) == "order-not-found"


@pytest.mark.parametrize("field", ["customer_ref", "order_id"])
def test_a_reference_that_has_lost_a_character_is_refused(admin, field):
    body = {"order_id": "lost-1"} | FACTS | {field: "K-\ufffdller"}
    refused = admin.post("/v1/orders/batch", {"items": [body]}).json["items"][0]
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, f"/items/0/{field}")


@pytest.mark.parametrize("field", ["customer_ref", "order_id"])
def test_a_reference_like_a_card_number_works_with_a_letter_in_front(admin, field):
    number = "4111111111111111"
    body = {"order_id": "card-1"} | FACTS | {field: number}
    refused = admin.post("/v1/cancellations", {"order": body, "contact": {"channel": "phone"}})
    assert (slug(refused), places(refused)) == ("payment-data-refused", [f"/order/{field}"])
    body[field] = f"K{number}"
    assert admin.post("/v1/cancellations", {"order": body, "contact": {"channel": "phone"}}).status_code == 201


def test_an_unknown_order_is_no_wrong_path(admin):
    assert slug(admin.get(url("no/such/order"))) == "order-not-found"
    assert slug(admin.get(url("no/such/order", "/evidence"))) == "order-not-found"
    assert slug(admin.get("/v1/nothing")) == "not-found"


@pytest.mark.parametrize("order_id", ["A-1001", "4500/10", "gid://shop/Order/1", "#1001"])
@pytest.mark.parametrize(("rest", "allowed"), [("/eligibility", "GET"), ("/evidence", "GET"), ("/contacts", "POST")])
def test_a_wrong_method_below_an_order_is_told_with_the_right_ones(admin, order_id, rest, allowed):
    for form in (quote(order_id, safe=""), quote(order_id)):
        for method in {"GET", "PUT", "POST", "PATCH", "DELETE"} - {allowed}:
            answer = admin.client.open(f"/v1/orders/{form}{rest}", method=method, json=FACTS)
            assert (answer.status_code, slug(answer)) == (405, "method-not-allowed"), (method, form)
            assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == {allowed}

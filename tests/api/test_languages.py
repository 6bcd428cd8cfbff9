"""The language of problems: the reader's, in every text; codes, places and statuses never change."""

import re

import pytest
import yaml

from refunds.presentation.language import speaking
from refunds.web import TAGS
from refunds.web.openapi import Contract
from tests.api.conftest import LATE
from tests.conftest import ONCE, openapi

ENGLISH = re.compile(r"\b(?:the|The|and|of|is|must|with|for|not|at most|be|or|has|send)\b")
GERMAN = re.compile(
    r"\b(?:der|die|das|und|nicht|ist|sein|muss|darf|fehlt|mit|für|höchstens|ein|eine|kein|keine|zu|hat|unbekannt\w*)\b"
)
CODE = re.compile(r"`[^`]*`|flask \w+ \w+")


def texts(problem):
    """Every text of a problem for people."""
    return [problem["title"], problem["detail"], *(error["detail"] for error in problem.get("errors", ()))]


def shape(problem):
    """What does not depend on the language."""
    errors = [(error["pointer"], error["code"]) for error in problem.get("errors", ())]
    return problem["type"], problem["status"], errors


CHECKS = "/v1/eligibility-checks"
REQUESTS = {
    "malformed": ("POST", CHECKS, {"data": b"{", "content_type": "application/json"}),
    "duplicate": ("POST", CHECKS, {"data": b'{"a":1,"a":2}', "content_type": "application/json"}),
    "nested": ("POST", CHECKS, {"data": b"[" * 5000, "content_type": "application/json"}),
    "media type": ("POST", CHECKS, {"data": b"{}", "content_type": "text/plain"}),
    "compressed": ("POST", CHECKS, {"json": {}, "headers": {"Content-Encoding": "gzip"}}),
    "missing": ("POST", CHECKS, {"json": {}}),
    "unknown field": ("POST", CHECKS, {"json": {"service_provided_at": None, "colour": 1}}),
    "no object": ("POST", CHECKS, {"json": []}),
    "instant": ("POST", CHECKS, {"json": {"service_provided_at": "2026-04-02"}}),
    "impossible instant": ("POST", CHECKS, {"json": {"service_provided_at": "2026-02-30T10:00:00Z"}}),
    "channel": ("POST", CHECKS, {"json": {"service_provided_at": None, "channel": "fax"}}),
    "region": ("POST", CHECKS, {"json": {"service_provided_at": None, "region": "DEU"}}),
    "subdivision": ("POST", CHECKS, {"json": {"service_provided_at": None, "region": "DE-XX"}}),
    "no subdivisions": ("POST", CHECKS, {"json": {"service_provided_at": None, "region": "MT-XX"}}),
    "policy": ("POST", CHECKS, {"json": {"service_provided_at": None, "policy": "other"}}),
    "terms": (
        "POST",
        CHECKS,
        {
            "json": {
                "service_provided_at": None,
                "terms": {
                    "window_business_days": 0,
                    "late_entry_days": "x",
                    "business_week": ["mon", "mon"],
                    "end_week": 3,
                    "time_zone": "Mars",
                    "closures": ["x", 1],
                    "follow_order_region": 1,
                    "phone": {"accepted": True, "points": ["12"]},
                    "email": {"accepted": True, "points": ["@"]},
                },
            }
        },
    ),
    "not covered": ("GET", "/v1/calendars/IN/days?from=2036-01-01&to=2036-01-05", {}),
    "country": ("GET", "/v1/calendars?country=de", {}),
    "query": ("GET", "/v1/contacts?limit=0&open=maybe", {}),
    "repeated": ("GET", "/v1/contacts?limit=1&limit=2", {}),
    "cursor": ("GET", "/v1/contacts?after=zzz", {}),
    "days": ("GET", "/v1/calendars/DE/days?from=2026-01-01&to=2028-01-01", {}),
    "events": ("GET", "/v1/events?types=a,b", {}),
    "feed": ("GET", "/v1/events?after=OTk5OTk5LjAwMDAwMDAw", {}),
    "no such path": ("GET", "/v1/nothing", {}),
    "no such order": ("GET", "/v1/orders/none", {}),
    "no such contact": ("GET", "/v1/contacts/con_01KAN3Y7M0V5Q4T8Z2B6C9D1EF", {}),
    "no such version": ("GET", "/v1/policies/virtual-numbers/versions/99", {}),
    "method": ("DELETE", "/v1/me", {}),
    "no key": ("POST", "/v1/cancellations", {"json": {}}),
    "bad key": ("POST", "/v1/cancellations", {"json": {}, "headers": {"Idempotency-Key": "ä"}}),
    "order id": ("PUT", "/v1/orders/...", {"json": {"customer_ref": "K-1"}}),
    "payment data": ("PUT", "/v1/orders/L-1", {"json": {"customer_ref": "4111 1111 1111 1111"}}),
    "facts": ("PUT", "/v1/orders/L-2", {"json": {"customer_ref": " x ", "ordered_at": "2030-01-01T00:00:00Z"}}),
    "no ETag": ("PUT", "/v1/orders/L-3", {"json": {"customer_ref": "K"}, "headers": {"If-Match": "x"}}),
    "two": ("POST", "/v1/cancellations", {"json": {"order_id": "A"}, "headers": {"Idempotency-Key": "two"}}),
    "draft": ("POST", "/v1/policies/virtual-numbers/versions", {"json": {"version": 1, "terms": {}}}),
    "closure": ("POST", "/v1/policies/virtual-numbers/closures", {"json": {"date": "2026-13-01"}}),
    "withdrawal": ("PUT", "/v1/policies/virtual-numbers/versions/1/withdrawal", {}),
    "host": ("GET", "/v1/me", {"base_url": "https://elsewhere.example"}),
    "query bytes": ("GET", "/v1/me?q=\xff", {}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_problem_is_in_the_language_of_its_reader(admin, name):
    method, path, options = REQUESTS[name]
    headers = options.get("headers", {})
    german, english = (
        admin.client.open(path, method=method, **options | {"headers": headers | {"Accept-Language": language}})
        for language in ("de", "en")
    )
    assert german.content_type == "application/problem+json", german.text
    assert shape(german.json) == shape(english.json)
    assert {"Accept-Language"} <= {name.strip() for name in german.headers["Vary"].split(",")}
    for in_german, in_english in zip(texts(german.json), texts(english.json), strict=True):
        assert in_german != in_english
        assert not ENGLISH.search(CODE.sub("", in_german)), in_german
        assert not GERMAN.search(in_english), in_english


def test_what_the_records_do_not_allow_is_explained_in_german(admin):
    order, other = admin.register(), admin.register()
    asked = admin.record(order, intent="cancel").json["contact_id"]
    question = admin.record(other, intent="question").json["contact_id"]
    cancellation = admin.cancelled(order, contact_id=asked)["cancellation_id"]
    cancel, contacts = "/v1/cancellations", f"/v1/orders/{order}/contacts"
    settlement, revocation = f"{cancel}/{cancellation}/settlement", f"{cancel}/{cancellation}/revocation"
    german = {"Accept-Language": "de"}
    facts = {"customer_ref": "K-20391", "service_provided_at": "2026-04-03T10:00:00Z", "region": "DE-BY"}
    correction = {"headers": german | {"If-Match": '"1"'}}
    refused = [
        admin.put(f"/v1/orders/{order}", json=facts, headers=german),
        admin.put(f"/v1/orders/{order}", json=facts | {"correction_reason": "typo"}, **correction),
        admin.put(f"/v1/orders/{order}", json=facts, **correction),
        admin.put(f"/v1/contacts/{asked}/resolution", json={"reason_code": "entered_in_error"}, headers=german),
        admin.put(settlement, json={"billing_ref": "R-1", "settled_at": "2026-01-01T00:00:00Z"}, headers=german),
        admin.delete(settlement, headers=german),
    ]
    posts = [
        (cancel, {"order_id": order, "contact": {"channel": "phone"}}),
        (cancel, {"order_id": other, "contact_id": question}),
        (cancel, {"order_id": other, "contact_id": asked}),
        (cancel, {"order_id": other, "contact": {"channel": "phone", "intent": "question"}}),
        (contacts, {"channel": "phone", "supersedes": asked}),
        (contacts, {"channel": "phone", "supersedes": question}),
        (contacts, {"channel": "email", "received_at": "2030-01-01T00:00:00Z"}),
        (contacts, {"channel": "email", "received_at": "2020-01-01T00:00:00Z"}),
    ]
    for i, (path, body) in enumerate(posts):
        refused.append(admin.client.post(path, json=body, headers=german | {"Idempotency-Key": f"german-{i}"}))
    refused.append(
        admin.client.post(contacts, json={"channel": "phone"}, headers=german | {"Idempotency-Key": "german-0"})
    )
    admin.put(settlement, json={"billing_ref": "R-1"})
    refused.append(admin.put(revocation, json={"reason_code": "entered_in_error"}, headers=german))
    admin.clock.move_to(LATE)
    refused.append(admin.client.post(cancel, json=posts[0][1], headers=german | {"Idempotency-Key": "german-late"}))
    late = {"order_id": other, "contact": {"channel": "phone", "received_at": "2026-04-08T10:00:00Z"}}
    refused.append(admin.client.post(cancel, json=late, headers=german | {"Idempotency-Key": "german-evidence"}))
    for response in refused:
        assert response.content_type == "application/problem+json", response.text
        for text in texts(response.json):
            assert not ENGLISH.search(CODE.sub("", text)), text


@pytest.mark.parametrize("authorization", [None, "Bearer rfd_x", "Basic x"])
def test_a_stranger_is_refused_in_their_language(app, authorization):
    headers = {"Accept-Language": "de"} | ({"Authorization": authorization} if authorization else {})
    problem = app.test_client().get("/v1/me", headers=headers, base_url="https://localhost").json
    assert problem["title"] == "Der Aufrufer ist nicht bekannt"
    assert not any(ENGLISH.search(text) for text in texts(problem))


@ONCE
def test_the_document_is_in_english_whoever_reads_it_first(app):
    with app.app_context(), speaking("de"):
        written = Contract(TAGS).text
    assert yaml.load(written, Loader=yaml.CSafeLoader) == openapi()

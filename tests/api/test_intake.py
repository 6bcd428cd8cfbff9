"""Framing, JSON, headers and errors: invalid input is always a problem, never a 500, and never silently converted."""

import html
import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from ulid import ULID

from refunds.errors import RefundsError
from refunds.web import create_app
from refunds.web.problem_types import PROBLEMS
from tests.conftest import ONCE, client_of, settings

pytestmark = ONCE

URL = "/v1/eligibility-checks"
GOOD = b'{"service_provided_at": null}'


def post(client, body, content_type="application/json", **headers):
    return client.post(URL, data=body, content_type=content_type, headers=headers)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b"{", "malformed-json"),
        (b"{} {}", "malformed-json"),
        (b"\xef\xbb\xbf{}", "malformed-json"),
        ('{"service_provided_at": null}'.encode("utf-16"), "malformed-json"),
        (b'{"a": "\xff"}', "malformed-json"),
        (b'{"a": NaN}', "malformed-json"),
        (b'{"a": Infinity}', "malformed-json"),
        (b'{"a": 1e999}', "malformed-json"),
        (b'{"a": "\\ud800"}', "malformed-json"),
        (b"[" * 20_000, "malformed-json"),
        (b'{"a": 1, "a": 1}', "duplicate-key"),
        (b'{"a": 1, "\\u0061": 1}', "duplicate-key"),
        (b'{"terms": {"region": "DE", "region": "AT"}}', "duplicate-key"),
    ],
)
def test_a_body_that_is_not_unambiguous_json_is_refused(client, body, slug):
    response = post(client, body)
    assert (response.status_code, response.json["type"]) == (400, f"/problems/{slug}")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_body_in_another_encoding_is_told_so(client, encoding):
    """Its place would be that of a sound character."""
    response = post(client, '{"service_provided_at": null, "region": "Köln"}'.encode(encoding))
    assert (response.json["type"], response.json["detail"]) == ("/problems/malformed-json", "The body is not UTF-8.")


def test_deep_nesting_is_refused_on_every_version_of_python(client):
    assert post(client, b"[" * 1020 + b"]" * 1020).status_code in {400, 422}


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"', b"true", b"[" * 900 + b"]" * 900])
def test_a_body_must_be_an_object(client, body):
    response = post(client, body)
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "")


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("text/plain", {}),
        ("application/x-www-form-urlencoded", {}),
        ("", {}),
        ("application/jsonx", {}),
        ("application/problem+json", {}),
        ("application/json", {"Content-Encoding": "gzip"}),
    ],
)
def test_only_plain_json_is_accepted(client, content_type, headers):
    response = post(client, GOOD, content_type, **headers)
    assert (response.status_code, response.json["type"]) == (415, "/problems/unsupported-media-type")


def test_parameters_of_the_content_type_do_not_matter(client):
    assert post(client, GOOD, "application/json; charset=utf-8").status_code == 200


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_transfer_encoding_is_refused_before_anything_is_read(client, method):
    path = URL if method == "post" else "/v1/policies"
    response = getattr(client, method)(path, data=GOOD, headers={"Transfer-Encoding": "chunked"})
    assert (response.status_code, response.json["type"]) == (411, "/problems/length-required")


def test_a_body_without_a_length_is_refused(client):
    response = client.post(URL, content_type="application/json")
    assert (response.status_code, response.json["type"]) == (411, "/problems/length-required")


def test_a_large_body_is_refused_by_its_length(client):
    response = post(client, b" " * (2**16 + 1))
    assert (response.status_code, response.json["type"]) == (413, "/problems/body-too-large")


def test_a_hundred_thousand_unknown_keys_get_a_short_answer(client):
    body = json.dumps({"items": [dict.fromkeys(map(str, range(100_000)))]}).encode()
    response = client.post("/v1/eligibility-checks/batch", data=body, content_type="application/json")
    assert response.status_code == 200
    assert len(response.data) < 10_000


def test_invalid_values_are_not_echoed(client):
    secret = "4111-1111-1111-1111"
    body = {"service_provided_at": secret, "channel": secret, "region": secret, "policy": secret, "x" * 500: secret}
    response = client.post(URL, json=body | {"terms": {"time_zone": secret, "closures": [secret], "end_week": secret}})
    assert response.status_code == 422
    assert secret not in response.text
    assert "x" * 65 not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/nowhere", 404),
        ("get", "/v1/policies/", 404),
        ("get", "/v1//policies", 404),
        ("get", "/problems/nothing", 404),
        ("get", "/problems/<script>", 404),
        ("get", "/static/../app.py", 404),
        ("get", URL, 405),
        ("delete", "/v1/policies", 405),
        ("put", "/docs", 405),
    ],
)
def test_every_error_is_a_problem_with_a_page(client, method, path, status):
    response = getattr(client, method)(path)
    assert response.status_code == response.json["status"] == status
    assert response.content_type == "application/problem+json"
    assert client.get(response.json["type"]).status_code == 200
    assert response.json["instance"] == response.headers["X-Request-ID"]


def test_unsupported_conditional_and_range_headers_are_ignored(client):
    """No resource is served in parts, and If-None-Match is the only precondition for reading."""
    for headers in ({"If-Match": '"x"'}, {"Range": "bytes=9999999-"}, {"If-Range": '"x"', "Range": "bytes=0-1"}):
        for path in ("/v1/policies", "/static/page.css"):
            with client.get(path, headers=headers) as response:
                assert response.status_code == 200


@pytest.mark.parametrize("query", ["q=\xff", "\xff\xfe=1", "q=%FC", "%ED%A0%80=1"])
def test_a_query_that_is_not_utf_8_is_refused(client, query):
    for path in ("/livez", "/v1/orders", "/docs", "/nowhere"):
        response = client.get(path, environ_overrides={"QUERY_STRING": query})
        assert (response.status_code, response.json["type"]) == (400, "/problems/bad-request")


def test_an_error_repeats_only_plausible_parameter_names(client):
    """A parameter name could be any text, so others are not repeated."""
    problem = client.get(f"/livez?a-b=1&a-b=2&a/b~c=1&a/b~c=2&{'q' * 30_000}=1&{'q' * 30_000}=2").json
    assert [error["pointer"] for error in problem["errors"]] == ["/a-b", "/…", "/…"]


@pytest.mark.parametrize("key", ["4111 1111 1111 1111", "4111111111111111", "<script>", "a\r\nb", "x" * 65, ""])
def test_an_error_repeats_no_implausible_field_name(client, key):
    answer = client.post(URL, json={"service_provided_at": None, key: 1})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["/…"]
    assert not key or key not in answer.text


@pytest.mark.parametrize(
    "request_id",
    [
        "rfd_aaaaaaaa_b_c",
        "4111111111111111",
        "4111-1111-1111-1111",
        "a b",
        "x" * 65,
        "anna.meier",
        "anna-meier-1985-05-17",
        "deadbeefcafebabe",
        "4915112345678000",
        "00000000-0000-0000-0000-491511234567",
        "K-20391",
        "order-20260412-000017",
        "can_01JQ3Z7M5T9V2B4X6C8D0F1G2H",
        "A3F09c1d5e7a8064",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "ab49151123456789",
        "3f2b9c1d19850517",
        "0ANNAMEYER0049151123456789",
        "0ANNA0MEYER0GEB19800101XYZ",
        "01JQ3Z7M5T9V2B4X6C8D0F1G2H",
        "8a6e0804-2bd0-1672-b79d-d97027f9071a",
        "8a6e0804-2bd0-4672-779d-d97027f9071a",
        "7ZZZZZZZZZ9V2B4X6C8D0F1G2H",
    ],
)
def test_a_request_id_that_could_name_somebody_or_something_is_replaced(client, request_id):
    assert client.get("/livez", headers={"X-Request-ID": request_id}).headers["X-Request-ID"] != request_id


def test_an_unsupported_method_gets_the_allowed_ones(client):
    assert set(client.get(URL).headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("path", ["/metrics", "/v1/policies", "/docs", "/console/sign-in", "/livez/", "//livez", "/x"])
def test_a_foreign_host_name_is_refused(client, path):
    response = client.get(path, headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "not trusted" not in response.text


@pytest.mark.parametrize("host", ["evil.example", "10.1.2.3:8000", "[fd00::1]:8000", "a b", ""])
@pytest.mark.parametrize("probe", ["/livez", "/readyz"])
def test_a_probe_answers_under_any_host(client, probe, host):
    """A load balancer asks an instance by the address that it has at the moment."""
    response = client.get(probe, headers={"Host": host})
    assert response.json == {"status": "ok"} or response.json["type"] == "/problems/clock-in-doubt"  # of other tests
    assert client.post(probe, headers={"Host": host}).status_code == 405


def fail(monkeypatch):
    """The response of a service whose decisions fail."""
    monkeypatch.setattr("refunds.domain.judging.decide", lambda *_, **__: 1 / 0)
    return client_of(create_app(settings())).post(URL, json={"service_provided_at": None})


def test_a_failure_is_a_problem_that_hides_its_cause(monkeypatch):
    response = fail(monkeypatch)
    assert (response.status_code, response.json["type"]) == (500, "/problems/internal-error")
    assert "division" not in response.text


def test_a_failure_is_logged_with_its_cause_under_the_request_id(monkeypatch, capsysbinary):
    response = fail(monkeypatch)
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["failure", "request"]
    assert {line["request_id"] for line in lines} == {response.headers["X-Request-ID"]}
    assert "ZeroDivisionError" in lines[0]["exception"]


@pytest.mark.parametrize(
    "given",
    [
        "3f2b9c1d5e7a8064",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "8a6e0804-2bd0-4672-b79d-d97027f9071a",
        "8A6E0804-2BD0-4672-B79D-D97027F9071A",
        "0199d2c4-7f1e-7a3b-8c55-0d9e4f6a7b21",
        "3f2b9c1d5e7a8064" * 4,
    ],
)
def test_a_request_id_that_looks_random_is_kept(client, given):
    assert client.get("/livez", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize(("days", "kept"), [(0, True), (-0.9, True), (0.9, True), (-1.1, False), (1.1, False)])
def test_a_ulid_is_kept_if_it_is_of_today(client, days, kept):
    """Else its time could be letters and digits of any meaning."""
    given = str(ULID.from_datetime(datetime.now(UTC) + timedelta(days=days)))
    assert (client.get("/livez", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given) is kept


def test_most_random_ids_are_kept(client):
    """Of the form that tracing uses: but for a run of digits, which may be a telephone number."""
    chance = Random(20260408)  # noqa: S311 - no secret
    given = [f"{chance.getrandbits(128):032x}" for _ in range(200)]
    kept = sum(client.get("/livez", headers={"X-Request-ID": one}).headers["X-Request-ID"] == one for one in given)
    assert kept > 140


@pytest.mark.parametrize("given", ["", "f" * 65, "a b", "<script>", "ä", "a;b"])
def test_any_other_request_id_is_replaced(client, given):
    made = client.get("/livez", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert made != given
    assert len(made) == 16


def test_every_kind_of_error_has_a_problem():
    def tree(error):
        return [error, *(found for child in error.__subclasses__() for found in tree(child))]

    codes = {error.code for error in tree(RefundsError)}
    assert codes <= set(PROBLEMS), "a configuration error ends the start, so it has no page"


def test_every_problem_has_a_page_that_says_what_to_do(client):
    index = client.get("/problems/").text
    for slug, problem in PROBLEMS.items():
        page = client.get(f"/problems/{slug}")
        assert page.status_code == 200
        assert problem.title in html.unescape(page.text)
        assert f'href="/problems/{slug}"' in index


def test_answers_carry_the_security_headers(client):
    for path in ("/livez", "/docs", "/problems/", "/nowhere", "/static/page.css"):
        with client.get(path) as response:
            headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-inline" not in headers["Content-Security-Policy"].partition("style-src")[0]


def test_no_personal_data_is_logged_or_measured(capsysbinary):
    client = client_of(create_app(settings()))
    client.post(URL, json={"service_provided_at": None, "channel": "phone", "contact_point": "+493012345678"})
    line = json.loads(capsysbinary.readouterr().out)
    said = {"request_id", "method", "operation", "status", "milliseconds", "actor"}
    assert set(line) == said | {"event", "at", "level", "release", "instance"}
    assert line["actor"].startswith("cli_")
    assert (line["operation"], line["status"]) == ("check_eligibility", 200)
    assert b"12345678" not in client.get("/metrics").data


def test_decisions_and_requests_are_measured(client):
    client.post(URL, json={"service_provided_at": None})
    text = client.get("/metrics").text
    assert 'refunds_decisions_total{reason="service_not_yet_provided"}' in text
    assert 'refunds_http_requests_total{method="POST",route="/v1/eligibility-checks",status="200"}' in text

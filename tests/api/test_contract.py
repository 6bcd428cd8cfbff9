"""The OpenAPI document is correct: the service conforms to it, and the service's responses match its examples."""

from functools import cache

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from refunds.service import clock
from refunds.web import create_app
from tests import ENGINES, PROOFS, conftest, scaled
from tests.api.conftest import Desk
from tests.conftest import openapi

document = openapi()


apps = [create_app(conftest.settings())]


def served(*request):
    """Call the app that the current fixture has set."""
    return apps[-1](*request)


# Besides random values, each kind of value in each place of each operation; only when proofs are run.
# A body that is both invalid and too large is refused for its size.
refused_with = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
config = SchemathesisConfig.from_dict(
    {
        "phases": {"coverage": {"enabled": PROOFS}},
        "checks": {"negative_data_rejection": {"expected-statuses": list(map(str, refused_with))}},
    }
)
schema = schemathesis.openapi.from_wsgi("/openapi.json", served, config=config)


def called_on(engine):
    """The fixture of an app on an engine that gets the random calls."""

    @pytest.fixture(scope="module", params=[engine], name=f"_called_on_{engine}")
    def called():
        apps.append(create_app(conftest.settings(engine=engine)))
        yield
        apps.pop().extensions["refunds.store"].close()

    return called


_called_on_sqlite, _called_on_postgresql = map(called_on, ENGINES)


@schema.auth()
class Admin:
    """Authenticates every call, except where a check omits that on purpose."""

    def get(self, _case, _context):
        """The token to send."""
        return conftest.token(apps[-1], "admin")

    def set(self, case, token, _context):
        """Set the header of a call."""
        case.headers["Authorization"] = f"Bearer {token}"


@pytest.fixture
def _on_each():
    """Overrides the fixture of the API tests, as the random calls choose their engine themselves."""


def calls(examples):
    """Settings for this many random calls of each operation."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.proof
@pytest.mark.usefixtures("_called_on_sqlite")
@schema.parametrize()
@calls(scaled(8, 60))
def test_the_service_conforms_to_its_contract(case):
    """Random calls, valid and invalid: statuses, media types, bodies and headers are as documented.

    Two checks are excluded: a random region, policy or year is valid by its schema but refused; and a batch is
    not refused because of an invalid item.
    """
    call(case)


@pytest.mark.proof
@pytest.mark.usefixtures("_called_on_postgresql")
@schema.parametrize()
@calls(scaled(4, 60))
def test_the_service_conforms_to_its_contract_on_postgresql(case):
    """The same calls: engines only differ in the errors of the database."""
    call(case)


def call(case):
    """Call the service and validate its response against the document.

    Every path below an order's can also be that of an order whose id has slashes, so its methods are those of both.
    """
    path = case.operation.path
    excluded = [positive_data_acceptance, *([negative_data_rejection] if path.endswith("/batch") else [])]
    if path.startswith("/v1/orders/"):
        excluded += [unsupported_method, allow_header_conformance]
    case.call_and_validate(excluded_checks=excluded)


def operations():
    """Every operation with its path and method."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def closed(schema):
    """A schema in which no object may contain undocumented fields."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    limits = {"additionalProperties": False} if "properties" in schema else {}
    return {name: closed(part) for name, part in schema.items()} | limits


@cache
def validator(name):
    """A validator of a documented schema in which no object may contain undocumented fields."""
    root = {"$ref": f"#/components/schemas/{name}", "components": closed(document["components"])}
    return jsonschema_rs.Draft202012Validator(root)


def test_the_examples_of_checks_get_the_documented_answers(client):
    for path in ("/v1/eligibility-checks", "/v1/eligibility-checks/batch"):
        operation = document["paths"][path]["post"]
        for name, example in operation["requestBody"]["content"]["application/json"]["examples"].items():
            answer = client.post(path, json=example["value"])
            assert answer.status_code == 200, (path, name)
            shown = operation["responses"]["200"]["content"]["application/json"]["examples"].get(name)
            assert not shown or answer.json == shown["value"], (path, name)


def test_every_example_is_valid_by_its_schema():
    contents = [
        ((path, where), content)
        for path, _, operation in operations()
        for where, content in [("body", operation.get("requestBody", {})), *operation["responses"].items()]
    ]
    components, checked = closed(document["components"]), 0
    for place, content in [*contents, *document["components"]["responses"].items()]:
        for media in content.get("content", {}).values():
            validator = jsonschema_rs.Draft202012Validator(media["schema"] | {"components": components})
            for name, example in media.get("examples", {}).items():
                value = document["components"]["examples"][name] if "$ref" in example else example
                errors = [error.message for error in validator.iter_errors(value["value"])]
                assert not errors, (place, name, errors)
                checked += 1
    assert checked > 100


def test_the_examples_of_records_work_in_sequence(app, now):
    """The bodies of the examples, sent one after another, get responses in the documented form."""
    desk = Desk(conftest.client_of(app, "admin"), now)
    paths = document["paths"]

    def body(path, method, name):
        return paths[path][method]["requestBody"]["content"]["application/json"]["examples"][name]["value"]

    order = desk.put("/v1/orders/A-1001", json=body("/v1/orders/{order_id}", "put", "register"))
    contact = desk.post("/v1/orders/A-1001/contacts", body("/v1/orders/{order_id}/contacts", "post", "call"))
    request = body("/v1/cancellations", "post", "stored") | {"contact_id": contact.json["contact_id"]}
    issued = desk.post("/v1/cancellations", request)
    again = desk.post("/v1/cancellations", body("/v1/cancellations", "post", "inline"))
    url = f"/v1/cancellations/{issued.json['cancellation_id']}"
    life = "/v1/cancellations/{cancellation_id}"
    now.move_to("2026-04-10T08:00:00Z")
    settled = desk.put(f"{url}/settlement", json=body(f"{life}/settlement", "put", "settled"))
    undone = desk.delete(f"{url}/settlement?reason_code=refund_failed")
    revoked = desk.put(f"{url}/revocation", json=body(f"{life}/revocation", "put", "revoked"))
    refused = desk.issue("A-1001")
    supervised = desk.post(
        "/v1/cancellations",
        body("/v1/cancellations", "post", "goodwill") | {"contact_id": refused.json["contact_id"]},
    )
    late = desk.register("A-1002", service_provided_at="2026-03-02T16:20:00+01:00")
    resolution = body("/v1/contacts/{contact_id}/resolution", "put", "stays")
    resolved = desk.put(f"/v1/contacts/{desk.record(late).json['contact_id']}/resolution", json=resolution)
    of_contact = f"/v1/contacts/{contact.json['contact_id']}"
    answers = body("/v1/contacts/{contact_id}/acknowledgement", "put", "said")
    acknowledged = desk.put(f"{of_contact}/acknowledgement", json=answers)
    completed = desk.client.patch(of_contact, json=body("/v1/contacts/{contact_id}", "patch", "ticket"))
    reopened = desk.delete(f"/v1/contacts/{resolved.json['contact_id']}/resolution?reason_code=entered_in_error")
    for name, status, answer in (
        ("Order", 201, order),
        ("Contact", 201, contact),
        ("Contact", 200, acknowledged),
        ("Contact", 200, completed),
        ("Contact", 200, reopened),
        ("Cancellation", 201, issued),
        ("Refusal", 409, again),
        ("Cancellation", 200, settled),
        ("Cancellation", 200, undone),
        ("Cancellation", 200, revoked),
        ("Refusal", 409, refused),
        ("Cancellation", 201, supervised),
        ("Contact", 200, resolved),
        ("OrderDecision", 200, desk.get("/v1/orders/A-1001/eligibility")),
        ("Order", 200, desk.get("/v1/orders/A-1001")),
        ("Contact", 200, desk.get(contact.headers["Location"])),
        ("Cancellation", 200, desk.get(url)),
        ("ContactList", 200, desk.get("/v1/contacts")),
        ("CancellationList", 200, desk.get("/v1/cancellations")),
        ("Feed", 200, desk.get("/v1/events")),
        ("Customer", 200, desk.client.post("/v1/customers/lookup", json={"customer_ref": "K-20391"})),
        ("Me", 200, desk.get("/v1/me")),
    ):
        assert answer.status_code == status, (name, answer.text)
        validator(name).validate(answer.json)


def timeless(answer):
    """An answer without the times at which policies were registered."""
    if isinstance(answer, list):
        return [timeless(part) for part in answer]
    if not isinstance(answer, dict):
        return answer
    return {name: name in {"registered_at", "last_updated"} or timeless(value) for name, value in answer.items()}


def test_the_examples_of_answers_are_correct(client):
    store = client.application.extensions["refunds.store"]
    if clock.doubt(store):  # because other tests have recorded at other times
        clock.confirm(store)
    for path in ("/v1/policies", "/v1/policies/virtual-numbers", "/livez", "/readyz"):
        operation = document["paths"][path.replace("virtual-numbers", "{policy_id}")]["get"]
        (example,) = operation["responses"]["200"]["content"]["application/json"]["examples"].values()
        assert timeless(client.get(path).json) == timeless(example["value"])
    for path, asked in (
        ("/v1/calendars", "?country=CN"),
        ("/v1/calendars/{region}/days", "?from=2026-04-02&to=2026-04-04"),
    ):
        response = document["paths"][path]["get"]["responses"]["200"]
        (example,) = response["content"]["application/json"]["examples"].values()
        assert client.get(path.replace("{region}", "DE-BY") + asked).json == example["value"]


def test_answers_contain_no_undocumented_fields(client):
    check = {
        "service_provided_at": "2026-02-12T16:45:00+01:00",
        "requested_at": "2026-02-13T00:00:00Z",
        "terms": {"business_week": ["mon", "tue", "wed", "thu", "fri", "sat"], "end_week": ["mon"]},
    }
    for documented, answer in (
        ("Decision", client.post("/v1/eligibility-checks", json=check)),
        ("Problem", client.post("/v1/eligibility-checks", json={"x": 1})),
        ("PolicyList", client.get("/v1/policies")),
        ("PolicyVersion", client.get("/v1/policies/virtual-numbers/versions/1")),
        ("CalendarDays", client.get("/v1/calendars/DE/days?from=2026-04-01&to=2026-04-09")),
        ("RegionList", client.get("/v1/calendars?country=DE")),
    ):
        validator(documented).validate(answer.json)


def test_every_operation_is_fully_described():
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, _, operation in operations():
        assert operation["operationId"][0].islower(), path
        assert set(operation["tags"]) <= tags, path
        assert operation["summary"], path
        assert operation["description"], path
        assert "500" in operation["responses"], path
        for status, response in operation["responses"].items():
            assert response["description"], (path, status)
            for media_type in response.get("content", {}):
                assert (media_type == "application/problem+json") is (int(status) >= 400), (path, status)

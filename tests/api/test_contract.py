"""The document is true: the service keeps to it, and its examples are what the service answers."""

import jsonschema_rs
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from refunds.web import create_app
from tests import conftest
from tests.conftest import ROOT

app = create_app(conftest.settings())
document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
schema = schemathesis.openapi.from_wsgi("/openapi.json", app)


@schema.auth()
class Admin:
    """Signs every call in, except where a check leaves that out on purpose."""

    def get(self, _case, _context):
        """The token."""
        return conftest.token(app, "admin")

    def set(self, case, token, _context):
        """Put it where it belongs."""
        case.headers["Authorization"] = f"Bearer {token}"


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_keeps_to_its_contract(case):
    """Random calls, sound and broken: statuses, media types, bodies and headers are as documented.

    Left out: a random region, policy or year fits its schema and is refused all the same; and a batch is not
    refused for an item that does not fit.
    """
    batch = case.operation.path.endswith("/batch")
    case.call_and_validate(excluded_checks=[positive_data_acceptance, *([negative_data_rejection] if batch else [])])


def operations():
    """Every operation with its path and method."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "delete"}
    ]


def test_examples_of_requests_are_answered_as_the_examples_say(client):
    for path, method, operation in operations():
        for name, example in (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {}).items()
        ):
            answer = getattr(client, method)(path, json=example["value"])
            assert answer.status_code == 200, (path, name)
            shown = operation["responses"]["200"]["content"]["application/json"]["examples"].get(name)
            assert not shown or answer.json == shown["value"], (path, name)


def test_examples_of_answers_are_true(client):
    for path in ("/v1/policies", "/v1/policies/virtual-numbers", "/livez", "/readyz"):
        operation = document["paths"][path.replace("virtual-numbers", "{policy_id}")]["get"]
        (example,) = operation["responses"]["200"]["content"]["application/json"]["examples"].values()
        assert client.get(path).json == example["value"]
    (example,) = document["paths"]["/v1/calendars/{region}/days"]["get"]["responses"]["200"]["content"][
        "application/json"
    ]["examples"].values()
    assert client.get("/v1/calendars/DE-BY/days?from=2026-04-02&to=2026-04-04").json == example["value"]


def closed(schema):
    """A schema in which no object may hold more than is documented."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema else {}
    return {name: closed(part) for name, part in schema.items()} | shut


def test_answers_hold_what_is_documented_and_nothing_more(client):
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
    ):
        root = {"$ref": f"#/components/schemas/{documented}", "components": closed(document["components"])}
        jsonschema_rs.Draft202012Validator(root).validate(answer.json)


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

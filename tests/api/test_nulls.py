"""Null means absent wherever a field may be absent, and what was read can be written back."""

import marshmallow as ma
import pytest

from refunds.schemas.strict import StrictSchema
from refunds.web import TAGS
from tests.conftest import ONCE

EXAMPLES = [
    pytest.param(operation.body, example["value"], id=f"{operation.view.__name__}-{name}")
    for tag in TAGS
    for operation in tag.operations
    for name, example in (operation.body_examples or {}).items()
]


def with_nulls(schema, body):
    """A body with null in every optional field that it does not have, also within its objects."""
    filled = {}
    for name, field in schema.load_fields.items():
        if name not in body:
            filled |= {} if field.required else {name: None}
        elif isinstance(field, ma.fields.Nested) and isinstance(body[name], dict):
            filled[name] = with_nulls(field.schema, body[name])
        else:
            filled[name] = body[name]
    return filled


def without_null(read):
    """What was read, without the nulls of fields that allow them, such as a policy's `end_week`."""
    if not isinstance(read, dict):
        return read
    return {name: without_null(value) for name, value in read.items() if value is not None}


@ONCE
@pytest.mark.parametrize(("schema", "body"), EXAMPLES)
def test_null_is_read_as_absent(schema, body):
    read = schema()
    nulls = with_nulls(read, body)
    assert nulls != body or len(read.load_fields) == len(body)
    assert without_null(read.read(nulls)) == without_null(read.read(body))


def test_a_required_field_is_still_required_and_not_null():
    class OneSchema(StrictSchema):
        name = ma.fields.String(required=True)

    assert OneSchema().validate({"name": None}) == OneSchema().validate({"name": None})
    with pytest.raises(ma.ValidationError):
        OneSchema().load({"name": None})


def test_an_order_that_was_read_can_be_written_back(billing):
    order = billing.register(region=None)
    read = billing.get(f"/v1/orders/{order}").json
    writable = ("customer_ref", "service_provided_at", "ordered_at", "policy", "region", "correction_reason")
    written = billing.put(f"/v1/orders/{order}", json={name: read[name] for name in writable})
    assert (written.status_code, written.json) == (200, read)


def test_a_version_that_was_read_can_be_written_again(admin):
    version = admin.get("/v1/policies/virtual-numbers/versions/1").json
    draft = {"version": 2, "effective_from": None, "terms": version["terms"] | {"window_business_days": 4}}
    published = admin.client.post("/v1/policies/virtual-numbers/versions?dry_run=true", json=draft)
    assert published.status_code == 200, published.text
    assert published.json["terms"] == draft["terms"]

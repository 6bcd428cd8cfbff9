"""An operation that is to end says so in the document and in each of its responses."""

from datetime import UTC, datetime

import pytest
from werkzeug.http import parse_date

from refunds.web import create_app, endpoint
from refunds.web.endpoint import Tag, answer
from refunds.web.openapi import Contract
from refunds.web.responses import reply
from tests.conftest import settings

tag = Tag("Old", "What is to end.")


@tag.operation(
    "GET /v1/old",
    scopes=None,
    deprecated=datetime(2026, 12, 1, tzinfo=UTC),
    sunset=datetime(2027, 12, 1, tzinfo=UTC),
)
@answer("It still works.", {"type": "object"})
def get_old():
    """Get what is to end"""
    return reply({})


@tag.operation("GET /v1/new", scopes=None)
@answer("It works.", {"type": "object"})
def get_new():
    """Get what stays"""
    return reply({})


@pytest.fixture
def _on_each():
    """Overrides the fixture of the API tests, as there are no records."""


def test_a_deprecated_operation_says_when_it_ends():
    app = create_app(settings())
    endpoint.register(app, [tag])
    old, refused, new = (app.test_client().get(path) for path in ("/v1/old", "/v1/old?x=1", "/v1/new"))
    assert (old.status_code, refused.status_code) == (200, 422)
    for response in (old, refused):
        assert response.headers["Deprecation"] == "@1796083200"
        assert parse_date(response.headers["Sunset"]) == datetime(2027, 12, 1, tzinfo=UTC)
    assert not {"Deprecation", "Sunset"} & set(new.headers.keys())
    with app.app_context():
        paths = Contract([tag]).document["paths"]
    assert paths["/v1/old"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/v1/new"]["get"]

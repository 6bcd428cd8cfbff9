"""The compact form of a batch: what it says, how long its lines are, and how it is asked for."""

import json
from datetime import datetime, timedelta

import pytest

from refunds.domain.outcomes import Verdict
from refunds.service.calendars import MOST_BUILT
from refunds.web import compact
from tests.api.conftest import slug
from tests.api.test_calendars_to_build import REGIONS, built  # noqa: F401 - a fixture
from tests.api.test_checks import CHECK, batch
from tests.conftest import ONCE

pytestmark = ONCE

PATH = "/v1/eligibility-checks/batch"
NDJSON = "application/x-ndjson"
PROVIDED = datetime.fromisoformat(CHECK["service_provided_at"])
MIXED = [
    CHECK,
    CHECK | {"requested_at": "2026-04-09T00:00:00+02:00"},
    CHECK | {"service_provided_at": None},
    CHECK | {"channel": "post"},
    CHECK | {"region": "FR"},
    CHECK | {"region": "XX"},
    CHECK | {"channel": "fax"},
    CHECK | {"service_provided_at": "2101-01-01T00:00:00Z", "requested_at": "2101-01-02T00:00:00Z"},
    5,
    None,
]


def asked(client, items, accept=NDJSON, **rest):
    """The response to a batch that is asked for in a form."""
    return client.post(PATH, json={"items": items} | rest, headers={"Accept": accept})


def lines(response):
    """The lines of a response, read."""
    assert (response.status_code, response.mimetype) == (200, NDJSON), response.text
    assert response.data.endswith(b"\n")
    return [json.loads(line) for line in response.data.splitlines()]


def test_a_line_has_the_verdict_the_deadline_and_the_reason(client):
    assert lines(asked(client, MIXED[:4])) == [
        {"verdict": "cancellable", "deadline": "2026-04-08T22:00:00Z", "reason": "within_window"},
        {"verdict": "refused", "deadline": "2026-04-08T22:00:00Z", "reason": "window_elapsed"},
        {"verdict": "cancellable", "deadline": None, "reason": "service_not_yet_provided"},
        {"verdict": "refused", "deadline": "2026-04-08T22:00:00Z", "reason": "channel_not_accepted"},
    ]


@pytest.mark.parametrize("piece", [1, 3, 500])
def test_it_says_the_same_as_the_other_form_in_the_same_order(client, monkeypatch, piece):
    monkeypatch.setattr(compact, "_PIECE", piece)
    more = [CHECK | {"requested_at": (PROVIDED + timedelta(hours=hours)).isoformat()} for hours in range(0, 200, 7)]
    items = [*MIXED, *more]
    for line, answer in zip(lines(asked(client, items)), batch(client, items)["items"], strict=True):
        if "problem" in line:
            assert line == {"problem": answer["type"].removeprefix("/problems/")}
        else:
            deadline = answer["window"] and answer["window"]["deadline"]
            assert line == {"verdict": answer["verdict"], "deadline": deadline, "reason": answer["reason"]}


def test_a_line_has_at_most_100_bytes(client):
    """The longest is that of an unofficial contact point."""
    terms = {"phone": {"accepted": True, "points": ["+498912345670"]}}
    longest = CHECK | {"channel": "phone", "contact_point": "+498912345671"}
    response = asked(client, [longest, *MIXED], terms=terms)
    found = lines(response)
    assert (found[0]["verdict"], found[0]["reason"]) == (Verdict.NEEDS_SUPERVISOR, "unofficial_contact_point")
    assert max(map(len, response.data.splitlines())) == 100


def test_ten_thousand_items_are_at_most_a_megabyte(client):
    response = asked(client, [CHECK] * 10_000)
    assert (len(lines(response)), len(response.data) <= 10**6) == (10_000, True)
    assert (asked(client, []).status_code, asked(client, []).data) == (200, b"")


@pytest.mark.parametrize(
    ("accept", "status", "form"),
    [
        (None, 200, "application/json"),
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("application/json, application/x-ndjson", 200, "application/json"),
        ("application/json;q=0.5, application/x-ndjson", 200, NDJSON),
        ("APPLICATION/X-NDJSON", 200, NDJSON),
        ("application/json;charset=UTF-8", 200, "application/json"),
        ("application/x-ndjson; charset=utf-8, application/json;q=0.5", 200, NDJSON),
        ("application/x-ndjson;charset=utf-8;q=0", 406, "application/problem+json"),
        ("application/x-ndjson;q=0", 406, "application/problem+json"),
        ("application/ndjson", 406, "application/problem+json"),
        ("text/csv", 406, "application/problem+json"),
        ("rubbish", 406, "application/problem+json"),
    ],
)
def test_accept_chooses_the_form(client, accept, status, form):
    response = client.post(PATH, json={"items": [CHECK]}, headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.mimetype) == (status, form)
    if status == 406:
        assert slug(response) == "not-acceptable"
        assert response.json["detail"] == "This can be answered as application/json or application/x-ndjson."
    else:
        assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": {}}, "/items"),
        ({"items": [], "terms": {"region": "XX"}}, "/terms/region"),
        ({"items": [], "include_days": True}, "/include_days"),
    ],
)
def test_a_wrong_batch_is_refused_as_a_whole(client, body, pointer):
    response = client.post(PATH, json=body, headers={"Accept": NDJSON})
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert response.json["errors"][0]["pointer"] == pointer


def test_an_item_that_fails_has_a_line_and_the_others_theirs(client, monkeypatch):
    """The answer has begun, so its status cannot say it."""
    read = compact._read_item

    def failing(item):
        if item == 5:
            raise ZeroDivisionError
        return read(item)

    monkeypatch.setattr(compact, "_read_item", failing)
    found = lines(asked(client, [CHECK, 5, CHECK]))
    assert ["problem" in line for line in found] == [False, True, False]
    assert found[1] == {"problem": "internal-error"}


def test_a_batch_builds_as_many_calendars_as_in_the_other_form(billing, built):  # noqa: F811
    items = [{"service_provided_at": CHECK["service_provided_at"], "region": region} for region in REGIONS * 2]
    found = lines(asked(billing.client, items))
    left = [line for line in found if line == {"problem": "rate-limited"}]
    assert (len(built), len(left)) == (MOST_BUILT, 2 * (len(REGIONS) - MOST_BUILT))
    assert all("reason" in line for line in lines(asked(billing.client, items)))

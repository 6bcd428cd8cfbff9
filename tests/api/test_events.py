"""The feed over HTTP."""

import json
import shutil

import pytest

from refunds.domain.journal import FOR_AUDITORS, EventType
from refunds.errors import ConfigurationError
from refunds.service.events import place
from refunds.web import create_app
from tests.api.conftest import Desk, places, slug
from tests.conftest import client_of, settings


def head(desk):
    """The place from which a reader who has seen everything continues."""
    after, page = None, desk.get("/v1/events?limit=200").json
    while page["next"] != after:
        after = page["next"]
        page = desk.get(f"/v1/events?after={after}&limit=200").json
    return after


def test_a_reader_who_continues_from_next_sees_every_event_once_and_in_order(billing, auditor):
    begin = head(auditor)
    for _ in range(4):
        billing.cancelled()
    positions, page = [], auditor.get(f"/v1/events?after={begin}&limit=3").json
    while page["items"]:
        positions += [event["position"] for event in page["items"]]
        page = auditor.get(f"/v1/events?after={page['next']}&limit=3").json
    assert positions == list(range(positions[0], positions[0] + 16))
    assert auditor.get(f"/v1/events?after={page['next']}").json == page


def test_filtering_by_type_does_not_lose_the_position(billing):
    begin = head(billing)
    orders = [billing.cancelled()["order_id"] for _ in range(3)]
    billing.register()
    page = billing.get(f"/v1/events?after={begin}&types=cancellation.issued,order.corrected&limit=2").json
    assert [event["order_id"] for event in page["items"]] == orders[:2]
    rest = billing.get(f"/v1/events?after={page['next']}&types=cancellation.issued&limit=2").json
    assert [event["order_id"] for event in rest["items"]] == orders[2:]
    assert rest["next"] == head(billing), "nothing of these types is left, up to the head"


def test_a_type_that_is_named_twice_is_listed_once(billing):
    begin = head(billing)
    billing.register()
    page = billing.get(f"/v1/events?after={begin}&types=order.registered,order.registered").json
    assert len(page["items"]) == 1


def test_events_about_access_are_for_auditors(billing, auditor):
    assert any(event["type"].startswith("access.") for event in auditor.get("/v1/events").json["items"])
    assert not any(event["type"].startswith("access.") for event in billing.get("/v1/events?limit=200").json["items"])
    assert billing.get("/v1/events?types=access.token_created").json["items"] == []


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("after=", "/after"),
        (f"after={'x' * 501}", "/after"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("types=cancellation.lost", "/types"),
        ("types=", "/types"),
        ("after=1&after=2", "/after"),
    ],
)
def test_an_invalid_query_is_refused(billing, query, where):
    answer = billing.get(f"/v1/events?{query}")
    assert (answer.status_code, places(answer)) == (422, [where])


@pytest.mark.parametrize("after", ["0", "-1", "12", "x", "1.5", "%D9%A1", "%00", "AAAA", "MTIz", "MS4xZjJlM2Q0Yw=="])
def test_a_text_that_no_feed_has_given_is_refused(billing, after):
    answer = billing.get(f"/v1/events?after={after}")
    assert (answer.status_code, slug(answer)) in {(400, "invalid-cursor"), (422, "validation-error"), REWOUND}


REWOUND = (409, "feed-rewound")


def test_a_page_names_its_journal_and_the_place_to_go_on_from(billing):
    page = billing.get("/v1/events?limit=1").json
    assert page["journal_id"].startswith("jrn_")
    assert page["journal_id"] == billing.get(f"/v1/events?after={page['next']}").json["journal_id"]
    assert isinstance(page["next"], str)


@pytest.mark.parametrize("query", ["", "&types=cancellation.issued", "&limit=200"])
def test_a_place_beyond_the_end_is_a_conflict_that_names_where_to_continue(billing, auditor, query):
    """After a restore, a reader who was ahead would miss every event until the journal is as long again."""
    position = auditor.get("/v1/events?limit=200").json["items"][-1]["position"]
    answer = billing.get(f"/v1/events?after={place(position + 10_000, b'abcd')}{query}")
    assert (answer.status_code, slug(answer), places(answer)) == (*REWOUND, ["/after"])
    again = billing.get(f"/v1/events?after={answer.json['next']}{query}").json
    assert again == billing.get(f"/v1/events?{query}").json, "nothing was accepted, so it begins again"


def test_a_place_of_another_journal_is_a_conflict_that_begins_again(billing):
    """After a restore, the journal can have grown past the place, with other events."""
    billing.cancelled()
    answer = billing.get(f"/v1/events?after={place(1, b'abcd')}")
    assert (answer.status_code, slug(answer)) == REWOUND
    first = billing.get(f"/v1/events?after={answer.json['next']}").json
    assert first["items"] == billing.get("/v1/events").json["items"]


def test_the_journal_contains_no_personal_data(billing, auditor):
    secret = "Zaphod-4711"
    order_id = billing.register(customer_ref=secret)
    contact = {"channel": "phone", "note": secret, "ticket_ref": secret, "from_detail": f"{secret}@example.com"}
    cancellation = billing.cancelled(order_id, contact=contact)
    billing.put(f"/v1/cancellations/{cancellation['cancellation_id']}/settlement", json={"billing_ref": secret})
    text = json.dumps(auditor.feed(order_id)).lower()
    assert len(auditor.feed(order_id)) == 5
    assert "zaphod" not in text
    assert "4711" not in text


def test_every_kind_of_event_has_an_example(client):
    operation = client.get("/openapi.json").json["paths"]["/v1/events"]["get"]
    examples = operation["responses"]["200"]["content"]["application/json"]["examples"]
    assert set(examples) == set(EventType) - set(FOR_AUDITORS)


def test_a_checkpoint_that_cannot_be_written_undoes_nothing(tmp_path, now, capsysbinary):
    """Every committed request succeeds; the log reports the failed checkpoint."""
    app = create_app(settings(tmp_path))
    desk = Desk(client_of(app, "admin"), now)
    shutil.rmtree(tmp_path / "ledger")
    (tmp_path / "ledger").write_text("no directory any more")
    for _ in range(35):
        desk.cancelled()
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["level"] for line in lines if line["event"] == "anchor"] == ["error"]
    app.extensions["refunds.store"].close()


def test_a_service_that_cannot_write_its_checkpoints_does_not_open(tmp_path):
    (tmp_path / "ledger").write_text("no directory")
    app = create_app(settings(tmp_path))
    with pytest.raises(ConfigurationError, match=r"^REFUNDS_LEDGER_DIR: .* name a directory that the service may"):
        app.extensions["refunds.store"].open()

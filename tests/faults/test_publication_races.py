"""Versions and closures take effect while others record contacts, on several servers with the same records.

Every stored decision was made by the version in force by the clock of the journal, and the next request on any server
sees a change.
"""

import threading
from bisect import bisect_right
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from typing import NamedTuple

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.policy import PolicyVersion
from refunds.domain.terms import Terms
from refunds.errors import Conflict
from refunds.schemas.policy import read_policy
from refunds.service import contacts, orders, publication
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests import scaled
from tests.faults.harness import Client, Installation, until

pytestmark = pytest.mark.proof

POLICY = "virtual-numbers"
VERSIONS = scaled(4, 10)
WRITERS = 6
AFTER_EACH = WRITERS + 1
"""The minimum number of contacts between two versions, so that at least one was begun after the first."""

_numbers = count(1)


class Race(NamedTuple):
    """The replies, and the records at the end."""

    installation: Installation
    published: list[dict]
    statuses: Counter[int]
    contacts: dict[str, dict]
    orders: dict[str, dict]
    journal: list[dict]


@pytest.fixture(scope="module", params=[("sqlite", 2), ("postgresql", 2)], ids=["two processes", "two instances"])
def place(request, tmp_path_factory):
    """An installation and the ports of its servers."""
    engine, number = request.param
    installation = Installation(tmp_path_factory.mktemp("publication"), engine)
    with installation.instances(number) as servers:
        yield installation, [server.port for server in servers]


@pytest.fixture(scope="module")
def race(place):
    """The result of publishing versions one after another while others record contacts."""
    installation, ports = place
    tokens, stopped, statuses, recorded = installation.tokens(), threading.Event(), Counter(), []

    def write(number):
        with Client(ports[number % len(ports)], tokens["agent"]) as client:
            while not stopped.is_set():
                order_id = f"order-{next(_numbers)}"
                provided = None if number == 0 else now()
                facts = {"customer_ref": f"customer {number}", "service_provided_at": provided}
                replies = [client.send("PUT", f"/v1/orders/{order_id}", facts)]
                if replies[0].status == 201:
                    contact = {"channel": "phone"}
                    key = {"Idempotency-Key": order_id}
                    replies.append(client.send("POST", f"/v1/orders/{order_id}/contacts", contact, **key))
                    while replies[-1].status == 503:
                        replies.append(client.send("POST", f"/v1/orders/{order_id}/contacts", contact, **key))
                    recorded.append(replies[-1])
                statuses.update(reply.status for reply in replies)

    def publish():
        published = []
        with Client(ports[0], tokens["product"]) as client:
            for number in range(2, VERSIONS + 2):
                seen = len(recorded)
                until(lambda seen=seen: len(recorded) >= seen + AFTER_EACH)
                terms = {"window_business_days": 2 + number % 2}
                reply = client.send("POST", f"/v1/policies/{POLICY}/versions", draft(number, **terms))
                assert reply.status == 201, reply.body
                published.append(reply.json)
            seen = len(recorded)
            until(lambda: len(recorded) >= seen + AFTER_EACH)
        return published

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            published = publish()
        finally:
            stopped.set()
        for end in writing:
            end.result(timeout=60)
    assert {reply.status for reply in recorded} == {201}
    with Client(ports[1], tokens["admin"]) as client:
        found = {contact["contact_id"]: contact for contact in client.every("/v1/contacts")}
        order_ids = {contact["order_id"] for contact in found.values()}
        filed = {order_id: client.send("GET", f"/v1/orders/{order_id}").json for order_id in order_ids}
        journal, page = [], client.send("GET", "/v1/events?limit=200").json
        while page["items"]:
            journal += page["items"]
            page = client.send("GET", f"/v1/events?after={page['next']}&limit=200").json
    return Race(installation, published, statuses, found, filed, journal)


def now():
    """The current time in RFC 3339."""
    return datetime.now(UTC).isoformat()


def draft(number, effective_from=None, **terms):
    """A draft that takes effect at once, unless a date is given."""
    return {"version": number, "effective_from": effective_from, "terms": terms}


def judged(race):
    """The position, the deciding instant and the judging version of each contact, in the order of the journal."""
    for event in race.journal:
        if event["type"] == "contact.recorded":
            contact = race.contacts[event["subject"]]
            provided = race.orders[event["order_id"]]["service_provided_at"]
            at = datetime.fromisoformat(provided or contact["received_at"])
            yield event["position"], at, contact["decision"]["policy"]["version"]


def test_every_contact_was_judged_by_the_version_in_force_by_the_clock(race):
    starts = [datetime.fromisoformat(version["effective_from"]) for version in race.published]
    assert all(earlier < later for earlier, later in pairwise(starts))
    found = list(judged(race))
    assert len(found) == len(race.contacts)
    assert [(position, version) for position, at, version in found if version != 1 + bisect_right(starts, at)] == []
    assert {version for *_, version in found} >= set(range(1, VERSIONS + 2)) - {1}, "there was something to judge"


def test_no_contact_is_judged_by_an_older_version_than_the_journal_requires(race):
    since = {event["data"]["version"]: event for event in race.journal if event["type"] == "policy.published"}
    assert sorted(since) == list(range(2, VERSIONS + 2))
    for position, at, version in judged(race):
        for number, event in since.items():
            if event["position"] < position and datetime.fromisoformat(event["data"]["effective_from"]) <= at:
                assert version >= number
            if event["position"] > position:
                assert version < number, "no contact is judged by an unpublished version"


def test_a_request_that_a_new_version_interrupts_succeeds_when_it_is_repeated(race):
    """Nothing else fails; the audit finds everything sound, and a replay finds no difference."""
    assert set(race.statuses) <= {201, 503}
    assert race.statuses[503] <= 2 * WRITERS * VERSIONS
    assert race.installation.require_sound().events == len(race.journal)
    replayed = race.installation.flask("audit", "replay")
    assert replayed.returncode == 0, replayed.stdout
    assert f"Replayed: {len(race.contacts)} decisions, 0 differences." in replayed.stdout


@pytest.fixture
def brand(place):
    """A new policy that has just taken effect, and an admin client of each server."""
    installation, ports = place
    name, token = f"brand-{next(_numbers)}", installation.tokens()["admin"]
    with Client(ports[0], token) as one, Client(ports[1], token) as other:
        assert publish(one, name, draft(1)).status == 201
        yield name, one, other


def publish(client, name, body):
    """Publish a draft and return the reply."""
    return client.send("POST", f"/v1/policies/{name}/versions", body)


def check(client, name, provided=None):
    """The decision on an order provided just now."""
    provided = provided or now()
    body = {"policy": name, "service_provided_at": provided}
    return client.send("POST", "/v1/eligibility-checks", body).json


def recorded(client, name):
    """The decision on a new contact about an order provided just now."""
    order_id = f"order-{next(_numbers)}"
    facts = {"customer_ref": "K-1", "service_provided_at": now(), "policy": name}
    assert client.send("PUT", f"/v1/orders/{order_id}", facts).status == 201
    contact = client.send(
        "POST", f"/v1/orders/{order_id}/contacts", {"channel": "phone"}, **{"Idempotency-Key": order_id}
    )
    assert contact.status == 201, contact.body
    return contact.json["decision"]


def test_another_server_uses_a_new_version_at_its_next_request(brand):
    name, one, other = brand
    for number in range(2, 14):
        here, there = (one, other) if number % 2 else (other, one)
        assert publish(here, name, draft(number, window_business_days=1 + number)).status == 201
        decided = (check if number % 3 else recorded)(there, name)
        assert (decided["policy"]["version"], decided["window"]["length"]) == (number, 1 + number)


def test_another_server_ignores_a_withdrawn_version_at_its_next_request(brand):
    name, one, other = brand
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    afterwards = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    for number in range(2, 8):
        here, there = (one, other) if number % 2 else (other, one)
        assert publish(here, name, draft(number, later, window_business_days=30)).status == 201
        body = {"policy": name, "service_provided_at": afterwards, "requested_at": afterwards}
        seen = []
        for _ in range(2):
            decided = there.send("POST", "/v1/eligibility-checks", body).json
            seen.append(decided["policy"]["version"])
            assert here.send("PUT", f"/v1/policies/{name}/versions/{number}/withdrawal").status == 200
        assert seen == [number, 1]


def test_another_server_includes_a_closure_at_its_next_request(brand):
    name, one, other = brand
    for number in range(8):
        here, there = (one, other) if number % 2 else (other, one)
        judging = check if number % 2 else recorded
        day = judging(there, name)["window"]["last_day"]
        assert here.send("POST", f"/v1/policies/{name}/closures", {"date": day}).status == 201
        decided = judging(there, name)
        assert date.fromisoformat(decided["window"]["last_day"]) > date.fromisoformat(day)
        assert [each["why"] for each in decided["days"] if each["date"] == day] == ["closure"]


def at_once(brand, *requests):
    """The replies to requests that are sent at the same time, each to another server."""
    start = threading.Barrier(len(requests), timeout=30)

    def send(client, method, path, body):
        start.wait()
        return client.send(method, path, body)

    with ThreadPoolExecutor(len(requests)) as pool:
        sending = [pool.submit(send, client, *request) for client, request in zip(brand[1:], requests, strict=True)]
        return [one.result(timeout=60) for one in sending]


def test_only_one_of_two_clients_publishes_a_version_number(brand):
    """With the same terms, the second gets the existing version; with others, a conflict."""
    path = f"/v1/policies/{brand[0]}/versions"
    for number in range(2, 12):
        windows = 1 + 2 * number, 1 + 2 * number + number % 2
        bodies = [draft(number, window_business_days=days) for days in windows]
        replies = at_once(brand, *(("POST", path, body) for body in bodies))
        assert sorted(reply.status for reply in replies) == ([201, 409] if number % 2 else [200, 201])
        if not number % 2:
            assert replies[0].json == replies[1].json


def test_only_one_of_two_clients_enters_a_closure(brand):
    path = f"/v1/policies/{brand[0]}/closures"
    for number in range(1, 9):
        body = {"date": str(date.today() + timedelta(days=number))}  # noqa: DTZ011 - any date will do
        replies = at_once(brand, *[("POST", path, body)] * 2)
        assert sorted(reply.status for reply in replies) == [200, 201]
        first, second = (reply.json for reply in replies)
        assert first.pop("effect_text") != second.pop("effect_text"), "to the second, it was entered before"
        assert first == second


def test_a_simultaneous_withdrawal_and_publication_are_serialised(brand):
    """The new version is refused as too early, unless the later one is already withdrawn."""
    name, later = brand[0], (datetime.now(UTC) + timedelta(days=9)).isoformat()
    client, number = brand[1], 2
    for _ in range(6):
        assert publish(client, name, draft(number, later, window_business_days=30)).status == 201
        withdrawn, published = at_once(
            brand,
            ("PUT", f"/v1/policies/{name}/versions/{number}/withdrawal", None),
            ("POST", f"/v1/policies/{name}/versions", draft(number + 1, window_business_days=3 + number)),
        )
        assert (withdrawn.status, published.status) in {(200, 201), (200, 422)}
        number += 2 if published.status == 201 else 1


# Step by step, where writers do not wait for each other: something else happens while a contact is recorded.


@pytest.fixture
def two(tmp_path):
    """Two stores on one PostgreSQL database, with an order of a policy that has made no decision."""
    installation = Installation(tmp_path, "postgresql")
    with installation.store() as one, installation.store() as other:
        with one.write(COMMAND_LINE) as uow:
            publication.import_version(uow, read_policy('policy = "brand"\nversion = 1\n'))
        with one.write(COMMAND_LINE) as uow:
            facts = OrderFacts(
                order_id="A-1", customer_ref="K-1", policy="brand", service_provided_at=datetime.now(UTC)
            )
            orders.register(uow, facts)
        yield one, other


def version(number, effective_from=None, **terms):
    """A version of the policy."""
    return PolicyVersion("brand", number, effective_from, Terms(**terms))


MEANWHILE = {
    "a version": lambda uow: publication.publish(uow, version(2, window_business_days=5)),
    "an import": lambda uow: publication.import_version(
        uow, version(2, datetime(2020, 1, 1, tzinfo=UTC), window_business_days=5)
    ),
    "a closure": lambda uow: publication.close(uow, "brand", datetime.now(UTC).date() + timedelta(days=1)),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_a_decision_during_a_policy_change_is_not_stored_and_made_again(two, what):
    one, other = two
    seen = []
    with pytest.raises(Conflict), one.write(COMMAND_LINE) as uow:  # noqa: PT012 - the conflict is found at its end
        before = contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE)).outcome
        with other.write(COMMAND_LINE) as meanwhile:
            MEANWHILE[what](meanwhile)
        seen.append(what)
    assert seen == [what], "neither had to wait for the other"
    with one.write(COMMAND_LINE) as uow:
        assert uow.contacts.paginate(limit=9, order_id="A-1") == []
        after = contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE)).outcome
    expected = {"a version": (1, 2), "an import": (2, 5), "a closure": (1, 2)}[what]
    assert (after.version, after.window.length) == expected
    assert what == "a version" or after.window.last_day >= before.window.last_day
    assert before.version == 1


@pytest.mark.parametrize("what", ["a version", "a closure"])
def test_a_waiting_change_takes_effect_when_its_turn_comes(two, what):
    """Everything before it in the journal was judged by the previous version."""
    one, other = two
    with one.write(COMMAND_LINE) as publishing:
        with other.write(COMMAND_LINE) as uow:
            facts = OrderFacts(
                order_id="A-2", customer_ref="K-2", policy="brand", service_provided_at=datetime.now(UTC)
            )
            orders.register(uow, facts)
        with other.write(COMMAND_LINE) as uow:
            outcome = contacts.record(uow, "A-2", NewContact(channel=Channel.PHONE)).outcome
        done = MEANWHILE[what](publishing)
    since = done.record.effective_from if what == "a version" else done.closure.entered_at
    assert outcome.version == 1
    assert facts.service_provided_at < outcome.requested_at < since


def test_a_decision_prevents_a_later_import(two):
    one, other = two
    with one.write(COMMAND_LINE) as uow:
        contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE))
    with pytest.raises(publication.PolicyVersionConflict), other.write(COMMAND_LINE) as uow:
        MEANWHILE["an import"](uow)

"""Who deals with a contact over HTTP: it is taken, given back, and assigned."""

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users
from tests.api.conftest import slug
from tests.conftest import client_of

NOBODY = "usr_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"


@pytest.fixture
def colleague(app):
    """A user who deals with contacts."""
    return user(app, Role.AGENT)


def user(app, role):
    store = app.extensions["refunds.store"]
    with store.write(COMMAND_LINE) as uow:
        return users.add(uow, f"{role}-{sum(1 for _ in uow.users.iter_all())}", role).user


def change(app, act, one):
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        act(uow, one.name)


def assign(desk, contact_id, **body):
    return desk.put(f"/v1/contacts/{contact_id}/assignment", json=body)


def give_back(desk, contact_id):
    return desk.delete(f"/v1/contacts/{contact_id}/assignment")


def of(desk):
    """The id of who sends the requests of a desk."""
    return desk.get("/v1/me").json["client_id"]


def contact(desk):
    return desk.record(desk.register()).json["contact_id"]


def unmatched(desk):
    return desk.post("/v1/contacts", {"channel": "phone", "order_hint": "the blue one"}).json["unmatched_id"]


def events(desk, subject):
    """The type and the data of the last two events about a contact."""
    found, page = [], desk.get("/v1/events?limit=200").json
    while page["items"]:
        found += [(one["type"], one["data"]) for one in page["items"] if one["subject"] == subject]
        page = desk.get(f"/v1/events?after={page['next']}&limit=200").json
    return found


@pytest.mark.parametrize(("made", "event"), [(contact, "contact.assigned"), (unmatched, "contact.unmatched_assigned")])
def test_a_contact_is_taken_and_given_back_and_each_is_in_the_journal_once(agent, billing, made, event):
    name, own = made(agent), of(agent)
    for _ in range(2):
        assert assign(agent, name).json == {"contact_id": name, "taken_by": own}
    for _ in range(2):
        assert give_back(agent, name).json == {"contact_id": name, "taken_by": None}
    assert events(billing, name)[-2:] == [(event, {"taken_by": own}), (event, {"taken_by": None})]


def test_who_comes_second_is_told_who_has_it_and_nothing_changes(agent, billing):
    name = contact(agent)
    assign(billing, name)
    answer = assign(agent, name)
    assert (answer.status_code, slug(answer)) == (409, "contact-state-conflict")
    assert of(billing) in answer.json["detail"]
    assert give_back(agent, name).status_code == 403
    assert agent.get(f"/v1/contacts/{name}").json["taken_by"] == of(billing)
    assert [one["contact_id"] for one in agent.get(f"/v1/contacts?taken_by={of(billing)}").json["items"]] == [name]


def test_all_that_is_open_about_an_order_is_taken_together(agent, billing):
    order = agent.register()
    first, second = (agent.record(order).json["contact_id"] for _ in range(2))
    assign(agent, first)
    third = agent.record(order).json["contact_id"]
    assert [agent.get(f"/v1/contacts/{one}").json["taken_by"] for one in (first, second, third)] == [of(agent)] * 2 + [
        None
    ]
    assert assign(billing, third).status_code == 409, "who has taken the others deals with it"
    give_back(agent, third)
    assert agent.get(f"/v1/contacts/{second}").json["taken_by"] is None


def test_a_supervisor_assigns_it_to_somebody_else(agent, supervisor, colleague):
    name = contact(agent)
    assign(agent, name)
    assert assign(supervisor, name).status_code == 409, "to take is not to assign"
    assert assign(supervisor, name, taken_by=colleague.user_id).json["taken_by"] == colleague.user_id
    assert assign(agent, name, taken_by=colleague.user_id).status_code == 403
    assert assign(agent, name).status_code == 409
    assert give_back(supervisor, name).json["taken_by"] is None


@pytest.mark.parametrize("leaving", ["disabled", "forgotten", "unknown", "auditor"])
def test_nobody_who_has_left_gets_it(app, agent, supervisor, leaving):
    one = user(app, Role.AUDITOR if leaving == "auditor" else Role.AGENT)
    name = contact(agent)
    assign(agent, name)
    if leaving in {"disabled", "forgotten"}:
        change(app, {"disabled": users.disable, "forgotten": users.forget}[leaving], one)
    answer = assign(supervisor, name, taken_by=NOBODY if leaving == "unknown" else one.user_id)
    assert (answer.status_code, [error["code"] for error in answer.json["errors"]]) == (422, ["left"])
    assert agent.get(f"/v1/contacts/{name}").json["taken_by"] == of(agent)


def test_what_somebody_had_who_has_left_can_be_taken(app, agent, supervisor, colleague):
    name = contact(agent)
    assign(supervisor, name, taken_by=colleague.user_id)
    assert assign(agent, name).status_code == 409
    change(app, users.forget, colleague)
    assert assign(agent, name).json["taken_by"] == of(agent)


@pytest.mark.parametrize("ending", ["cancelled", "resolved"])
def test_what_is_not_open_is_not_taken(agent, ending):
    order = agent.register()
    name = agent.record(order).json["contact_id"]
    if ending == "cancelled":
        agent.cancelled(order, contact_id=name)
    else:
        agent.put(f"/v1/contacts/{name}/resolution", json={"reason_code": "customer_kept_order"})
    for answer in (assign(agent, name), give_back(agent, name)):
        assert (answer.status_code, slug(answer)) == (409, "contact-state-conflict")


def test_who_has_taken_it_keeps_it_when_it_is_matched_superseded_or_reopened(agent):
    order, name = agent.register(), unmatched(agent)
    assign(agent, name)
    matched = agent.put(f"/v1/contacts/{name}/order", json={"order_id": order}).json
    assert matched["taken_by"] == of(agent)
    following = agent.record(order, supersedes=matched["contact_id"]).json
    assert following["taken_by"] == of(agent)
    path = f"/v1/contacts/{following['contact_id']}/resolution"
    agent.put(path, json={"reason_code": "customer_kept_order"})
    assert agent.delete(f"{path}?reason_code=customer_asked_again").json["taken_by"] == of(agent)


def test_an_unmatched_contact_that_was_resolved_is_open_again(app, agent, billing, auditor):
    name, order = unmatched(agent), agent.register()
    path = f"/v1/unmatched-contacts/{name}/resolution"
    reopened = f"{path}?reason_code=entered_in_error"
    agent.put(path, json={"reason": "The number is another shop's."})
    for _ in range(2):
        answer = agent.delete(reopened).json
        assert (answer["open"], answer["resolution"]) == (True, None)
    assert events(billing, name)[-1] == ("contact.unmatched_reopened", {"reason_code": "entered_in_error"})
    assert agent.delete(path).status_code == 422
    agent.put(f"/v1/contacts/{name}/order", json={"order_id": order})
    assert agent.delete(reopened).status_code == 409
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        uow.verify(app.extensions["refunds.store"].checkpoints)


@pytest.mark.parametrize("role", ["auditor", "privacy"])
def test_those_who_only_read_take_nothing(app, agent, role):
    name = contact(agent)
    client = client_of(app, role)
    assert client.put(f"/v1/contacts/{name}/assignment", json={}).status_code == 403
    assert client.delete(f"/v1/contacts/{name}/assignment").status_code == 403

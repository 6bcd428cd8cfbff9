"""Withdrawals: a statutory declaration is recorded whatever the policy says, and a supervisor cancels on it."""

import re
from datetime import timedelta

import pytest

from refunds.domain.contact_points import Channel
from tests.api.conftest import IN_TIME, LATE, PROVIDED, places, slug

STATUTORY = {"kind": "statutory", "reason": "Statutory withdrawal within 14 days"}
GOODWILL = {"kind": "goodwill", "reason": "Our line was down all afternoon."}
POLICY_CHANNELS, OTHERS = ("phone", "email"), ("web", "post")
FORBIDDEN = re.compile(r"kulanz|goodwill|gesture|nicht erstattbar|not refundable|kein\w* recht|no right", re.IGNORECASE)

TIMES = ("before", "inside", "after", "after_with_open_request", "cancelled", "refunding")
ASKS_NOTHING = "contact-state-conflict"
REFUSED, OVERRIDDEN = "not-refundable", "statutory"

ENDED = ("order_already_cancelled", "order-already-cancelled", "order-already-cancelled")
ANY = {"after_with_open_request": ("within_window", "policy", "policy"), "cancelled": ENDED, "refunding": ENDED}
IN_TIME_ANYWAY = {
    "before": ("service_not_yet_provided", "policy", "policy"),
    "inside": ("within_window", "policy", "policy"),
}
NEVER = dict.fromkeys(("before", "inside", "after"), ("channel_not_accepted", REFUSED, OVERRIDDEN))
EXPECTED = {
    ("cancel", POLICY_CHANNELS): ANY | IN_TIME_ANYWAY | {"after": ("window_elapsed", REFUSED, OVERRIDDEN)},
    ("cancel", OTHERS): ANY | NEVER,
    ("withdrawal", POLICY_CHANNELS + OTHERS): ANY
    | IN_TIME_ANYWAY
    | {"after": ("withdrawal_needs_supervisor", REFUSED, OVERRIDDEN)},
}
EXPECTED |= {
    ("question", channels): {
        at: (row[0], ASKS_NOTHING, ASKS_NOTHING) for at, row in EXPECTED["cancel", channels].items()
    }
    for channels in (POLICY_CHANNELS, OTHERS)
}
"""What a contact is told at a time, and what an agent, and a supervisor with the override `statutory`, make of it."""


@pytest.fixture
def order_at(agent, billing, now):
    """Makes an order and puts the clock to one of `TIMES` of it."""

    def made(at, **facts):
        now.move_to(IN_TIME)
        order_id = billing.register(**({"service_provided_at": None} if at == "before" else {}) | facts)
        if at == "after_with_open_request":
            agent.record(order_id)
        if at in ("cancelled", "refunding"):
            issued = agent.cancelled(order_id)
        if at == "refunding":
            billing.put(f"/v1/cancellations/{issued['cancellation_id']}/refund", json={})
        if at.startswith("after"):
            now.move_to(LATE)
        return order_id

    return made


def withdrawal(desk, order_id, **contact):
    """Record a withdrawal, and return it."""
    answer = desk.record(order_id, intent="withdrawal", **contact)
    assert answer.status_code == 201, answer.text
    return answer.json


def came_of(answer):
    """The basis of what was issued, or the kind of problem."""
    return answer.json["basis"] if answer.status_code == 201 else slug(answer)


@pytest.mark.parametrize(("intent", "channels"), EXPECTED)
@pytest.mark.parametrize("at", TIMES)
def test_each_declaration_is_answered_by_its_kind_time_channel_and_role(
    agent, supervisor, order_at, intent, channels, at
):
    reason, *expected = EXPECTED[intent, channels][at]
    for channel in channels:
        for desk, override, wanted in zip((agent, supervisor), ({}, {"override": STATUTORY}), expected, strict=True):
            order_id = order_at(at)
            contact = desk.record(order_id, intent=intent, channel=channel).json
            assert (contact["decision"]["reason"], contact["intent"]) == (reason, intent)
            assert contact["open"] == (intent != "question" and reason != "order_already_cancelled")
            issued = desk.issue(order_id, contact_id=contact["contact_id"], **override)
            assert came_of(issued) == wanted, (channel, desk, issued.text)
            still = desk.get(f"/v1/contacts/{contact['contact_id']}").json["open"]
            assert still == (wanted == REFUSED), "only a refused one waits, for a supervisor"


def test_every_channel_is_in_the_table():
    assert {channel for _, channels in EXPECTED for channel in channels} == set(Channel)


def test_an_agent_cannot_override(agent, order_at):
    order_id = order_at("after")
    contact = withdrawal(agent, order_id, channel="post")
    refused = agent.issue(order_id, contact_id=contact["contact_id"], override=STATUTORY)
    assert (refused.status_code, slug(refused)) == (403, "forbidden")


def test_a_supervisors_statutory_cancellation_is_due_14_days_after_receipt(agent, supervisor, order_at, now):
    order_id = order_at("after")
    contact = withdrawal(agent, order_id, channel="post", received_at=LATE)
    now.shift(timedelta(days=3))
    issued = supervisor.cancelled(order_id, contact_id=contact["contact_id"], override=STATUTORY)
    assert (issued["basis"], issued["override"]["kind"]) == ("statutory", "statutory")
    assert issued["refund_due_by"] == "2026-04-23", "it was received on the 9th in Berlin"
    assert issued["decision"]["reason"] == "withdrawal_needs_supervisor"
    event = next(event for event in supervisor_feed(supervisor, order_id) if event["type"] == "cancellation.issued")
    assert (event["data"]["basis"], event["data"]["override_kind"]) == ("statutory", "statutory")


def supervisor_feed(desk, order_id):
    """The events of an order as the evidence has them."""
    return desk.get(f"/v1/orders/{order_id}/evidence").json["journal"]


def test_a_withdrawal_can_be_recorded_and_cancelled_in_one_step(agent, supervisor, order_at):
    order_id = order_at("inside")
    issued = agent.cancelled(order_id, contact={"channel": "web", "intent": "withdrawal"})
    assert (issued["basis"], issued["decision"]["reason"]) == ("policy", "within_window")
    order_id = order_at("after")
    refused = agent.issue(order_id, contact={"channel": "web", "intent": "withdrawal"})
    assert (refused.status_code, slug(refused)) == (409, "not-refundable")
    assert "supervisor" in refused.json["detail"]
    contact_id = refused.json["contact_id"]
    assert agent.get(f"/v1/contacts/{contact_id}").json["open"]
    assert supervisor.cancelled(order_id, contact_id=contact_id, override=STATUTORY)["basis"] == "statutory"


def test_an_open_withdrawal_answers_for_its_order(agent, supervisor, order_at, now):
    order_id = order_at("after")
    request, contact = agent.record(order_id).json, withdrawal(agent, order_id)
    now.shift(timedelta(days=2))
    decision = agent.get(f"/v1/orders/{order_id}/eligibility").json
    assert (decision["verdict"], decision["judged_by_contact"]) == ("needs_supervisor", contact["contact_id"])
    assert agent.record(order_id).json["decision"]["reason"] == "withdrawal_needs_supervisor"
    assert withdrawal(agent, order_id)["decision"]["judged_by_contact"] is None
    for one in (request, contact):
        refused = supervisor.issue(order_id, contact_id=one["contact_id"], override=GOODWILL)
        assert (refused.status_code, places(refused)) == (422, ["/override/kind"]), "the law's is no goodwill"
    issued = supervisor.cancelled(order_id, contact_id=request["contact_id"], override=STATUTORY)
    assert (issued["basis"], issued["contact_id"]) == ("statutory", contact["contact_id"])
    assert issued["refund_due_by"] == "2026-04-23", "14 days after the withdrawal"


def test_its_sending_counts_even_if_the_policy_goes_by_the_receipt(agent, auditor, order_at):
    order_id = order_at("after")
    sent = {"channel": "post", "sent_at": "2026-04-08T21:59:59Z", "ticket_ref": "L-1"}
    contact = withdrawal(agent, order_id, **sent)
    assert auditor.get(f"/v1/orders/{order_id}/eligibility").json["judged_by_contact"] == contact["contact_id"]
    assert (contact["decision"]["reason"], contact["backdated"]) == ("within_window", True)
    assert agent.cancelled(order_id, contact_id=contact["contact_id"])["basis"] == "policy"
    request = agent.record(order_at("after"), **sent | {"channel": "email"}).json
    assert request["decision"]["reason"] == "window_elapsed", "of a request the receipt counts"


def test_without_a_ticket_a_supervisor_decides_whether_it_was_sent_in_time(agent, supervisor, order_at):
    order_id = order_at("after")
    contact = withdrawal(agent, order_id, sent_at="2026-04-08T12:00:00Z")
    assert contact["decision"]["reason"] == "withdrawal_needs_supervisor"
    assert came_of(agent.issue(order_id, contact_id=contact["contact_id"])) == "not-refundable"


def test_a_late_request_that_was_refused_becomes_a_withdrawal(agent, supervisor, order_at):
    order_id = order_at("after")
    refused = agent.record(order_id).json
    assert refused["decision"]["verdict"] == "refused"
    contact = withdrawal(agent, order_id, supersedes=refused["contact_id"])
    assert contact["decision"]["verdict"] == "needs_supervisor"
    assert agent.get(f"/v1/contacts/{refused['contact_id']}").json["superseded_by"] == contact["contact_id"]
    assert supervisor.cancelled(order_id, contact_id=contact["contact_id"], override=STATUTORY)["basis"] == "statutory"


@pytest.mark.parametrize("intent", ["cancel", "question"])
def test_nothing_less_takes_the_place_of_an_open_withdrawal(agent, order_at, intent):
    order_id = order_at("after")
    contact = withdrawal(agent, order_id)
    refused = agent.record(order_id, intent=intent, supersedes=contact["contact_id"])
    assert (refused.status_code, slug(refused)) == (409, "contact-state-conflict")
    assert withdrawal(agent, order_id, supersedes=contact["contact_id"])["open"]


def resolve(desk, contact, reason_code="customer_kept_order"):
    """Resolve a contact."""
    return desk.put(f"/v1/contacts/{contact['contact_id']}/resolution", json={"reason_code": reason_code})


def test_another_contact_that_is_resolved_leaves_a_withdrawal_open(agent, supervisor, order_at):
    order_id = order_at("after")
    request, contact = agent.record(order_id).json, withdrawal(agent, order_id)
    assert resolve(agent, request).status_code == 200
    assert agent.get(f"/v1/contacts/{contact['contact_id']}").json["open"]
    again = agent.record(order_id).json
    assert (resolve(agent, contact).status_code, resolve(supervisor, contact, "other").status_code) == (403, 422)
    assert resolve(supervisor, contact, "answered_in_writing").status_code == 200
    assert agent.get(f"/v1/contacts/{again['contact_id']}").json["open"], "only the withdrawal is resolved"


def test_a_cancellation_of_the_order_closes_a_withdrawal_and_a_revocation_opens_it_again(agent, supervisor, order_at):
    order_id = order_at("after")
    contact, request = withdrawal(agent, order_id, channel="post"), agent.record(order_id).json
    issued = supervisor.cancelled(order_id, contact_id=request["contact_id"], override=STATUTORY)
    assert not agent.get(f"/v1/contacts/{contact['contact_id']}").json["open"]
    revocation = {"reason_code": "customer_kept_order"}
    address = f"/v1/cancellations/{issued['cancellation_id']}/revocation"
    assert supervisor.put(address, json=revocation).status_code == 200
    assert agent.get(f"/v1/contacts/{contact['contact_id']}").json["open"], "a withdrawal has its own reasons"
    assert agent.get(f"/v1/contacts/{request['contact_id']}").json["resolution"] is not None


def test_an_open_withdrawal_in_time_answers_a_later_question(agent, order_at, now):
    order_id = order_at("inside")
    contact = withdrawal(agent, order_id, channel="post")
    now.move_to(LATE)
    decision = agent.get(f"/v1/orders/{order_id}/eligibility").json
    assert (decision["eligible"], decision["judged_by_contact"]) == (True, contact["contact_id"])


ORDERED = "2026-04-02T15:58:00+02:00"
PERIODS = {
    "ends_on_a_thursday": ({"ordered_at": ORDERED}, "2026-04-16"),
    "moves_from_a_sunday": ({"ordered_at": "2026-03-29T12:00:00Z"}, "2026-04-13"),
    "moves_over_good_friday_to_tuesday": ({"ordered_at": "2026-03-20T12:00:00Z"}, "2026-04-07"),
    "begins_on_the_local_date": ({"ordered_at": "2026-04-01T22:30:00Z"}, "2026-04-16"),
    "moves_by_the_holidays_of_the_region": ({"ordered_at": "2025-12-23T12:00:00Z", "region": "DE-BY"}, "2026-01-07"),
    "does_not_move_elsewhere": ({"ordered_at": "2025-12-23T12:00:00Z", "region": "DE-NW"}, "2026-01-06"),
    "moves_from_a_saturday_that_is_worked_by_decree": (
        {"ordered_at": "2025-12-27T12:00:00Z", "region": "HU"},
        "2026-01-12",
    ),
    "unknown_without_ordered_at": ({}, None),
    "unknown_beyond_the_calendar": ({"ordered_at": "1980-01-01T00:00:00Z"}, None),
}


@pytest.mark.parametrize(("facts", "last_day"), PERIODS.values(), ids=PERIODS)
def test_the_information_period_is_shown_as_information(agent, billing, facts, last_day):
    order_id = billing.register(**facts)
    answer = agent.client.get(f"/v1/orders/{order_id}/eligibility", headers={"Accept-Language": "de"}).json
    period = answer["information_period"]
    if last_day is None:
        assert period is None
    else:
        assert period["last_day"] == last_day
        assert period["has_ended"] == (last_day < "2026-04-08")
        assert period["text"].startswith("Nur zur Information: ")
    assert "statutory_rights_not_assessed" in answer["notices"]


def confirmation(desk, issued, language):
    """The confirmation of a cancellation as a text and as a page, without its line ends."""
    address = f"/v1/cancellations/{issued['cancellation_id']}/confirmation?lang={language}"
    texts = [desk.client.get(address, headers={"Accept": form}).text for form in ("text/plain", "text/html")]
    return [re.sub(r'<span class="whole">(.*?)</span>', r"\1", " ".join(text.split())) for text in texts]


CONFIRMED = {
    ("policy", "de"): ("Die Bestellung {order} ist storniert.", "Stornobedingungen"),
    ("policy", "en"): ("The order {order} is cancelled.", "the policy"),
    ("goodwill", "de"): ("Die Bestellung {order} wurde aus Kulanz storniert.", "Kulanz"),
    ("goodwill", "en"): ("The order {order} is cancelled as a gesture of goodwill.", "goodwill"),
    ("statutory", "de"): (
        "Wir haben Ihren Widerruf am 9. April 2026, 00:00 Uhr erhalten. Die Bestellung {order} ist damit beendet.",
        "gesetzlicher Widerruf",
    ),
    ("statutory", "en"): (
        "We received your withdrawal on 9 April 2026, 00:00. The order {order} has ended as a result.",
        "statutory withdrawal",
    ),
}


@pytest.mark.parametrize(("basis", "language"), CONFIRMED)
def test_the_confirmation_of_each_basis_has_its_own_sentence(supervisor, order_at, basis, language):
    order_id = order_at("inside" if basis == "policy" else "after")
    contact = {"channel": "phone", "intent": "withdrawal" if basis == "statutory" else "cancel"}
    override = {"policy": {}, "goodwill": {"override": GOODWILL}, "statutory": {"override": STATUTORY}}[basis]
    issued = supervisor.cancelled(order_id, contact=contact, **override)
    assert issued["basis"] == basis
    sentence, named = CONFIRMED[basis, language]
    for text in confirmation(supervisor, issued, language):
        assert sentence.format(order=order_id) in text
        assert named in text
        if basis == "statutory":
            assert not FORBIDDEN.search(text), FORBIDDEN.search(text)
            assert "Stornierung" not in text


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_evidence_names_the_basis_and_the_withdrawal(supervisor, order_at, language):
    order_id = order_at("after")
    supervisor.cancelled(order_id, contact={"channel": "post", "intent": "withdrawal"}, override=STATUTORY)
    page = supervisor.client.get(f"/v1/orders/{order_id}/evidence?lang={language}", headers={"Accept": "text/html"})
    assert {"de": "gesetzlicher Widerruf", "en": "statutory withdrawal"}[language] in page.text
    assert not FORBIDDEN.search(page.text)


def test_late_1_is_cancelled_on_the_basis_of_the_law(agent, supervisor, order_at):
    """A supervisor's statutory override on a request that was recorded as `cancel`."""
    order_id = order_at("after")
    refused = agent.record(order_id).json
    body = {"order_id": order_id, "contact_id": refused["contact_id"], "override": STATUTORY}
    issued = supervisor.post("/v1/cancellations", body)
    assert (issued.status_code, issued.json["basis"]) == (201, "statutory")
    assert "damit beendet" in confirmation(supervisor, issued.json, "de")[0]


def test_a_point_of_contact_of_a_letter_is_refused(agent, order_at):
    refused = agent.record(order_at("after"), intent="withdrawal", channel="post", contact_point="Hauptstr. 1")
    assert (refused.status_code, places(refused)) == (422, ["/contact_point"])


def test_a_check_by_another_channel_is_not_accepted(agent):
    check = {"service_provided_at": PROVIDED, "requested_at": IN_TIME, "channel": "post"}
    assert agent.client.post("/v1/eligibility-checks", json=check).json["reason"] == "channel_not_accepted"

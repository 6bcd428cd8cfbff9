"""Records as plain data, as the API returns them; their decisions with texts in the reader's language."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from typing import Any

import orjson

from refunds.domain.holidays_data import is_provisional
from refunds.domain.instants import format_instant, format_known, format_local, zone
from refunds.domain.journal import Event
from refunds.domain.privacy import DataRequest, Disclosure, Limit
from refunds.domain.records import Cancellation, Closure, Contact, Promise, RegisteredVersion
from refunds.domain.standings import Standing
from refunds.domain.unmatched import UnmatchedContact
from refunds.domain.withdrawals import InformationPeriod
from refunds.presentation.decisions import day_data, decision_data
from refunds.presentation.language import translate
from refunds.presentation.texts.decisions import information_text
from refunds.presentation.texts.policies import differences_data
from refunds.presentation.texts.privacy import answer_text, certificate_lines
from refunds.service.evidence import Evidence
from refunds.service.privacy import Certificate
from refunds.service.simulation import Example, Flip, Simulation, Tally
from refunds.storage.inspection import Link


def attributes(record: Any, *names: str, **others: str) -> dict[str, Any]:
    """Return attributes of a record as plain data, by name; instants become text in UTC, dates text, other values stay.

    The attributes in `names` keep their names; in `others`, `open="is_open"` gives the attribute `is_open` as `open`.
    """
    data = {name: getattr(record, name) for name in names}
    data |= {name: getattr(record, of) for name, of in others.items()}
    for name, value in data.items():
        if isinstance(value, date):
            data[name] = format_instant(value) if isinstance(value, datetime) else value.isoformat()
    return data


def order_data(standing: Standing) -> dict[str, Any]:
    """Return an order as the API shows it, with its state and its promise; instants are text in UTC."""
    order, promise = standing.order, standing.promise
    return {
        **attributes(order, "order_id", "customer_id", "customer_ref", "policy", "region", "ordered_at"),
        **attributes(order, "service_provided_at"),
        "state": standing.state,
        "promise": None if promise is None else _promise_data(promise),
        **attributes(order, "registered_at", "asserted_by", "revision", "correction_reason"),
        "facts_entered_by_agent": bool(order.facts_entered_by_agent),
        "facts_corrected_after_refusal": bool(order.facts_corrected_after_refusal),
    }


def _promise_data(promise: Promise) -> dict[str, Any]:
    """Return a promise as the API shows it with its order: window, deadline, and whether its end is provisional."""
    told = promise.told
    return {
        **attributes(told.window, "service_day", "length", "last_day"),
        "deadline": format_instant(told.deadline),
        "deadline_local": format_local(told.deadline, zone(told.time_zone)),
        "time_zone": told.time_zone,
        "provisional": is_provisional(told.region, told.window.last_day),
        "promised_at": format_instant(promise.promised_at),
    }


def details_data(contact: Contact | UnmatchedContact) -> dict[str, Any]:
    """Return when and how a customer made contact, and what was noted, as the API shows it."""
    made = attributes(contact, "intent", "channel", "sent_at", "received_at", "recorded_at", "recorded_by")
    return made | attributes(contact, "contact_point", "from_detail", "ticket_ref", "note", "taken_by")


def unmatched_data(contact: UnmatchedContact) -> dict[str, Any]:
    """Return an unmatched contact as the API shows it."""
    return {
        "unmatched_id": contact.unmatched_id,
        "request_number": contact.number_aloud,
        "order_hint": contact.order_hint,
        **details_data(contact),
        **attributes(contact, "supersedes", "superseded_by", open="is_open", contact_id="contact_id"),
        "acknowledgement": _acknowledgement_data(contact),
        "resolution": contact.closed_at
        and attributes(contact, reason="closed_reason", resolved_at="closed_at", resolved_by="closed_by"),
    }


def _acknowledgement_data(contact: Contact | UnmatchedContact) -> dict[str, Any] | None:
    """Return how and when a contact was acknowledged, and by whom, as the API shows it; None if it was not."""
    if contact.acknowledged_at is None:
        return None
    given = {"channel": "acknowledged_through", "to": "acknowledged_to"}
    return attributes(contact, given_at="acknowledged_at", given_by="acknowledged_by", **given)


def contact_data(contact: Contact) -> dict[str, Any]:
    """Return a contact as the API shows it, with its stored decision, whose texts are in the reader's language."""
    why = {"reason_code": "resolution_code", "reason": "resolution_reason", "duplicate_of": "duplicate_of"}
    return {
        **attributes(contact, "contact_id", "order_id"),
        **details_data(contact),
        **attributes(contact, "supersedes", "superseded_by", open="is_open", backdated="backdated"),
        "request_number": contact.number_aloud,
        "acknowledgement": _acknowledgement_data(contact),
        "resolution": contact.resolved_at
        and attributes(contact, **why) | attributes(contact, "resolved_at", "resolved_by"),
        "decision": decision_data(contact.outcome, contact.decision.facts.request),
    }


def cancellation_data(cancellation: Cancellation) -> dict[str, Any]:
    """Return a cancellation as the API shows it, with its stored decision, whose texts are in the reader's language."""
    its = partial(attributes, cancellation)
    return {
        "cancellation_id": cancellation.cancellation_id,
        "reference": cancellation.reference_aloud,
        **its("order_id", "contact_id", "state", "basis", "issued_at", "issued_by", "refund_due_by"),
        "override": cancellation.override_kind
        and its(kind="override_kind", reason="override_reason", approved_by="override_by"),
        "refund": cancellation.refund_begun_at
        and its(begun_at="refund_begun_at", begun_by="refund_begun_by", billing_ref="billing_ref"),
        "settlement": cancellation.settled_at and its("settled_at", "settled_by", "billing_ref"),
        "revocation": cancellation.revoked_at
        and its(reason_code="revocation_code", reason="revocation_reason") | its("revoked_at", "revoked_by"),
        "decision": decision_data(cancellation.outcome, cancellation.decision.facts.request),
    }


def registered_data(record: RegisteredVersion) -> dict[str, Any]:
    """Return a registered version of a policy as the API shows it, with its terms."""
    return {
        **attributes(record, "policy", "version", "effective_from", "registered_at", "registered_by", "imported"),
        **attributes(record, "withdrawn_at", "withdrawn_by", "content_hash"),
        # A business week is always a list.
        "terms": {name: ["country"] if value == "country" else value for name, value in record.terms.items()},
    }


def closure_data(closure: Closure) -> dict[str, Any]:
    """Return an entered closure as the API shows it."""
    return {
        **attributes(closure, "closure_id", "policy", "date"),
        "reason": {"de": closure.reason_de, "en": closure.reason_en},
        **attributes(closure, "entered_at", "entered_by"),
    }


def event_data(event: Event) -> dict[str, Any]:
    """Return an event as the API shows it; its `data` is a fragment of JSON that only orjson can write."""
    happened = attributes(event, "position", "type", "at", "actor", "subject", "order_id")
    return happened | {"data": orjson.Fragment(event.data)}


def information_data(period: InformationPeriod | None, at: datetime) -> dict[str, Any] | None:
    """Return the information period as the API shows it, and whether it has ended at an instant; None for no period."""
    if period is None:
        return None
    last_day = period.last_day.isoformat()
    return {"last_day": last_day, "has_ended": period.has_ended(at), "text": information_text(period)}


def promise_on_record_data(promise: Promise) -> dict[str, Any]:
    """Return a promise as the evidence shows it: its window by day, region, when, why, by whom and by which data."""
    told = promise.told
    return {
        **attributes(promise, "promise_id", "cause", "promised_by", current="is_current"),
        **_promise_data(promise),
        "days": [day_data(day, told) for day in told.days],
        "region": told.region,
        **attributes(promise, "holidays_version", "tzdata_version"),
    }


def evidence_data(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as the API shows it, in the reader's language; its events can only be written by orjson."""
    return {
        "order": evidence.standing and order_data(evidence.standing),
        "promises": list(map(promise_on_record_data, evidence.promises)),
        "contacts": list(map(contact_data, evidence.contacts)),
        "unmatched_contacts": list(map(unmatched_data, evidence.unmatched)),
        "cancellations": list(map(cancellation_data, evidence.cancellations)),
        "policy_versions": list(map(registered_data, evidence.versions)),
        "closures": list(map(closure_data, evidence.closures)),
        "journal": list(map(_link_data, evidence.journal)),
        "proof": {
            "sound": not evidence.broken,
            "broken": list(map(translate, evidence.broken)),
            "checked_at": format_instant(evidence.checked_at),
        },
    }


def _link_data(link: Link) -> dict[str, Any]:
    """Return an event with hexadecimal digests, and as `anchor` the checkpoint up to which its chain was checked.

    `anchor` is null if the chain was checked to its end.
    """
    event, checkpoint = link
    return event_data(event) | {
        "digest": event.digest.hex(),
        "previous": event.previous.hex(),
        "hash": event.hash.hex(),
        "anchor": checkpoint
        and {"position": checkpoint.position, "hash": checkpoint.hash.hex(), "at": format_instant(checkpoint.at)},
    }


def simulation_data(found: Simulation) -> dict[str, Any]:
    """Return a simulation as the API shows it, with its differences in words in the reader's language."""
    total = found.total
    return {
        "policy": found.draft.policy_id,
        "version": found.draft.version,
        "compared_with": found.compared_with.version,
        "differences": differences_data(found.differences, found.draft.terms.time_zone),
        "orders": {
            "judged": total.orders,
            "longer": total.longer,
            "shorter": total.shorter,
            "not_provided": found.not_provided,
            **{str(flip): found.orders_flipped[flip] for flip in Flip},
        },
        "contacts": {"judged": total.contacts, "to_eligible": total.to_eligible, "to_refused": total.to_refused},
        "by_month": _listed("month", found.by_month),
        "by_channel": [
            {name: row[name] for name in ("channel", "contacts", "to_eligible", "to_refused")}
            for row in _listed("channel", found.by_channel)
        ],
        "by_region": _listed("region", found.by_region),
        "examples": {
            str(flip): [_example_data(example) for example in examples] for flip, examples in found.examples.items()
        },
        "coarse": found.is_coarse,
        "undecided": dict(found.undecided),
    }


def _listed(key: str, tallies: Mapping[str, Tally]) -> list[dict[str, Any]]:
    """Return the tallies as a list, sorted by name; each has its name as the value of `key`."""
    return [{key: name} | asdict(tally) for name, tally in sorted(tallies.items())]


def _example_data(example: Example) -> dict[str, Any]:
    """Return the API's data of a contact that a draft decides otherwise: reason and deadline, before and after."""
    before, after = example.before, example.after
    return {
        **attributes(example, "order_id", "contact_id"),
        **attributes(after, "channel", "region"),
        "requested_at": format_known(before.requested_at),
        "reason_before": before.reason,
        "reason_after": after.reason,
        "deadline_before": format_known(before.deadline),
        "deadline_after": format_known(after.deadline),
    }


def data_request_data(
    request: DataRequest,
    certificate: Certificate | None = None,
    recipients: Sequence[Disclosure] = (),
    *,
    time_zone: str | None = None,
    is_scrubbed: bool = False,
) -> dict[str, Any]:
    """Return a data request as the API shows it, with the certificate and the earlier recipients, if given.

    Without a `time_zone`, `answer_text`, what to write to the person, is None. `is_scrubbed` as in `certificate_lines`.
    """
    return {
        **attributes(request, "request_id", "kind", "state", "customer_id", "channel", "identity_check", "recipient"),
        **attributes(request, "received_at", "recorded_at", "recorded_by", "due_at"),
        **attributes(request, "extended_at", "extended_by", "extension_reason"),
        "fee_may_apply": request.fee is not None,
        **attributes(request, "fee", "fee_reason", "closed_at", "closed_by", "outcome", "outcome_reason"),
        "answer_text": time_zone and answer_text(request, time_zone),
        "earlier_recipients": list(map(disclosure_data, recipients)),
        "certificate": certificate
        and {
            **attributes(certificate.erasure, "customer_id", "reason", erased_at="at", order_ids="order_ids"),
            "fields": certificate.fields,
            "lines": list(certificate_lines(certificate, is_scrubbed=is_scrubbed)),
        },
    }


def disclosure_data(disclosure: Disclosure) -> dict[str, Any]:
    """Return a disclosure as the API shows it."""
    what = attributes(disclosure, "disclosure_id", "customer_id", "basis", "recipient", "reference")
    return what | attributes(disclosure, "disclosed_at", "disclosed_by")


def hold_data(customer_id: str, held: Limit | None) -> dict[str, Any]:
    """Return whether a customer is on hold, as the API shows it; why, since when and by whom are None if not."""
    return {
        "customer_id": customer_id,
        "held": held is not None,
        "reason": held and held.reason,
        "held_at": held and format_instant(held.set_at),
        "held_by": held and held.set_by,
    }

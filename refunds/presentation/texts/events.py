"""Events in words, in the reader's language."""

from refunds.domain.records import PromiseCause
from refunds.errors import Message
from refunds.presentation.language import translate

_EVENT = {
    "order.registered": Message("order registered"),
    "order.corrected": Message("order corrected"),
    "order.confirmed": Message("order confirmed by billing"),
    "order.promised": Message("window promised"),
    "order.forgotten": Message("order forgotten"),
    "contact.recorded": Message("contact recorded"),
    "contact.superseded": Message("contact superseded"),
    "contact.resolved": Message("contact resolved"),
    "contact.reopened": Message("contact reopened"),
    "contact.assigned": Message("contact taken or given back"),
    "contact.acknowledged": Message("customer answered"),
    "contact.completed": Message("contact completed"),
    "contact.emptied": Message("contact emptied"),
    "contact.details_forgotten": Message("note and ticket forgotten"),
    "contact.unmatched_recorded": Message("contact recorded without its order"),
    "contact.unmatched_completed": Message("contact without an order completed"),
    "contact.unmatched_superseded": Message("contact without an order superseded"),
    "contact.unmatched_acknowledged": Message("customer answered, without an order"),
    "contact.unmatched_resolved": Message("contact without an order resolved"),
    "contact.unmatched_reopened": Message("contact without an order reopened"),
    "contact.unmatched_assigned": Message("contact without an order taken or given back"),
    "contact.unmatched_emptied": Message("contact without an order emptied"),
    "contact.unmatched_forgotten": Message("contact without an order forgotten"),
    "contact.matched": Message("contact matched to its order"),
    "cancellation.issued": Message("cancellation issued"),
    "cancellation.refund_begun": Message("refund begun"),
    "cancellation.refund_failed": Message("refund failed"),
    "cancellation.settled": Message("refund settled"),
    "cancellation.unsettled": Message("settlement undone"),
    "cancellation.revoked": Message("cancellation revoked"),
    "customer.erased": Message("customer erased"),
    "customer.held": Message("legal hold on a customer"),
    "customer.hold_lifted": Message("legal hold lifted"),
    "customer.rectified": Message("customer's data corrected"),
    "customer.restricted": Message("customer's data restricted"),
    "customer.restriction_lifted": Message("restriction lifted"),
    "customer.objected": Message("customer's objection noted"),
    "customer.objection_lifted": Message("objection lifted"),
    "data_request.opened": Message("data request received"),
    "data_request.identity_checked": Message("identity checked"),
    "data_request.extended": Message("data request extended"),
    "data_request.fee_noted": Message("fee for a data request noted"),
    "data_request.closed": Message("data request answered"),
    "privacy.disclosed": Message("data disclosed"),
    "privacy.exported": Message("data handed out"),
    "privacy.evidence_shown": Message("evidence shown"),
    "privacy.table_exported": Message("table exported"),
    "statistics.closed": Message("statistics of a month closed"),
    "privacy.forgotten": Message("record beside the orders forgotten"),
    "policy.imported": Message("version imported"),
    "policy.published": Message("version published"),
    "policy.withdrawn": Message("version withdrawn"),
    "closure.added": Message("closure entered"),
    "calendar.changed": Message("calendar data changed"),
    "access.client_created": Message("client added"),
    "access.client_forgotten": Message("client forgotten"),
    "access.token_created": Message("token made"),
    "access.token_revoked": Message("token revoked"),
    "access.user_created": Message("user added"),
    "access.user_reset": Message("password reset"),
    "access.user_disabled": Message("user disabled"),
    "access.user_forgotten": Message("user forgotten"),
    "audit.accepted": Message("another state of the records accepted"),
    "access.user_signed_out": Message("user signed out"),
    "access.user_password_changed": Message("password changed"),
    "access.session_ended": Message("session ended by its user"),
    "audit.clock_confirmed": Message("clock confirmed"),
    "audit.keys_rotated": Message("master key rotated"),
}

_CAUSE = {
    PromiseCause.REGISTERED: _EVENT["order.registered"],
    PromiseCause.CORRECTED: _EVENT["order.corrected"],
    PromiseCause.RECORDED: _EVENT["contact.recorded"],
    PromiseCause.POLICY_CHANGED: Message("version or closure that makes the window longer"),
    PromiseCause.CALENDAR_CHANGED: _EVENT["calendar.changed"],
    PromiseCause.BEFORE_PROMISES: Message("order registered before windows were promised"),
}


def cause_text(cause: PromiseCause) -> str:
    """Why a window was promised, in a few words."""
    return translate(_CAUSE[cause])


def event_text(event_type: str) -> str:
    """What happened, in a few words, by the type of the event; the type itself if it is not known here."""
    return translate(_EVENT.get(event_type, event_type))

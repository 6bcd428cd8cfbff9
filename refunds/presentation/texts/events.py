"""Events in words, in the reader's language."""

from collections.abc import Mapping

from refunds.domain.journal import EventType
from refunds.domain.records import PromiseCause
from refunds.errors import Message
from refunds.presentation.language import translate

_WORDS: Mapping[str, Message] = {event: event.words for event in EventType}

_CAUSE = {
    PromiseCause.REGISTERED: EventType.ORDER_REGISTERED.words,
    PromiseCause.CORRECTED: EventType.ORDER_CORRECTED.words,
    PromiseCause.RECORDED: EventType.CONTACT_RECORDED.words,
    PromiseCause.POLICY_CHANGED: Message("version or closure that makes the window longer"),
    PromiseCause.CALENDAR_CHANGED: EventType.CALENDAR_CHANGED.words,
    PromiseCause.BEFORE_PROMISES: Message("order registered before windows were promised"),
}


def cause_text(cause: PromiseCause) -> str:
    """Return why a window was promised, in a few words."""
    return translate(_CAUSE[cause])


def event_text(event_type: str) -> str:
    """Return what happened, in a few words, by the type of the event; an unknown type is returned as it is."""
    return translate(_WORDS.get(event_type, event_type))

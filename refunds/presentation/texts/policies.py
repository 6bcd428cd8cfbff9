"""Policies in words, in the reader's language: what a version says, and how it differs from another."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from babel.dates import get_day_names

from refunds.domain.clauses import Mismatch, MismatchKind, mismatches
from refunds.domain.policy import Difference, PolicyVersion
from refunds.domain.region_days import WEEKDAYS, Week
from refunds.domain.terms import ContactChannel, JudgedBy, Terms, Texts, TimelyBy, WithoutSubdivision
from refunds.errors import Message
from refunds.presentation.language import language, translate, translate_number
from refunds.presentation.texts.dates import business_days_text, date_text, instant_text

_LABEL = {
    "window_business_days": Message("Window"),
    "business_week": Message("Business week"),
    "end_week": Message("Days on which the window may end"),
    "region": Message("Region"),
    "follow_order_region": Message("The order's region counts"),
    "time_zone": Message("Time zone"),
    "closures": Message("Closed"),
    "timely_by": Message("In time by"),
    "judged_by": Message("Judged by the version in force when"),
    "phone": Message("By telephone"),
    "email": Message("By e-mail"),
    "late_entry_days": Message("A late entry needs a supervisor after"),
    "evidence_after_deadline": Message("A ticket is needed for entries after the deadline"),
    "refund_due_days": Message("Refund target"),
    "vendor_name": Message("Vendor"),
    "page_url": Message("Page"),
    "page_published_at": Message("Page published"),
    "texts": Message("Clause"),
    "without_subdivision": Message("If only the country is known, the holidays count"),
    "period_law_days": Message("Days that the law on periods adds do not count"),
    "keep_details_months": Message("Months for which notes and tickets are kept"),
    "keep_cancelled_years": Message("Years for which cancelled orders are kept"),
    "keep_contacted_years": Message("Years for which orders with contacts only are kept"),
    "keep_ordered_years": Message("Years for which other orders are kept"),
    "keep_others_years": Message("Years for which records beside the orders are kept"),
}
_WORD: dict[Any, Message] = {
    None: Message("none"),
    True: Message("yes"),
    False: Message("no"),
    "country": Message("the weekdays that are working days by the country's law on each date"),
    TimelyBy.RECEIVED: Message("the time of receipt"),
    TimelyBy.SENT: Message("the time of sending"),
    JudgedBy.PROVIDED: Message("the service was provided"),
    JudgedBy.ORDERED: Message("the order was placed"),
    WithoutSubdivision.SHARED: Message("that all its subdivisions share"),
    WithoutSubdivision.ANY: Message("of any of its subdivisions"),
}


def difference_text(difference: Difference, time_zone: str) -> str:
    """Return a difference of two versions as text: the term, its new value and, if there is one, its former value.

    Of closures and clauses, only the changes are shown; instants are in the time zone.
    """
    term, before, after, replaces = difference
    label = translate(_LABEL[term])
    if term in _CHANGES:
        return f"{label}: {_CHANGES[term](before, after)}"

    def value_text(value: Any) -> str:
        if isinstance(value, datetime):
            return instant_text(value, time_zone)
        return translate(_WORD[None]) if value is None else _SHOWN.get(term, _plain)(value)

    if not replaces:
        return f"{label}: {value_text(after)}"
    return translate(
        "%(label)s: %(after)s (was: %(before)s)", label=label, after=value_text(after), before=value_text(before)
    )


def differences_data(found: Iterable[Difference], time_zone: str) -> list[dict[str, str]]:
    """Return differences as the API shows them: the name of each term, and the difference as text."""
    return [{"term": one.term, "text": difference_text(one, time_zone)} for one in found]


def _plain(value: Any) -> str:
    """Return the words for a value of a term if it is a code or a boolean, in the reader's language; else its text."""
    return translate(_WORD[value]) if isinstance(value, StrEnum | bool) else str(value)


def _calendar_days(number: int) -> str:
    """Return a number of calendar days as a text, such as "14 calendar days"."""
    return translate_number("%(num)s calendar day", "%(num)s calendar days", number)


def _week(week: Week) -> str:
    """Return a business week in words: its short weekdays, or that the country's law decides."""
    if week == "country":
        return translate(_WORD[week])
    names = get_day_names("abbreviated", locale=language())
    return ", ".join(names[WEEKDAYS.index(day)].rstrip(".") for day in week)


def _channel_text(channel: ContactChannel) -> str:
    """Return in words whether contacts by a channel count and, if so, by which contact points."""
    if not channel.accepted:
        return translate("does not count")
    if not channel.points:
        return translate("counts, by whatever number or address")
    return translate("counts by %(points)s", points=", ".join(channel.points))


def _closures_changed(before: tuple[date, ...] | None, after: tuple[date, ...]) -> str:
    """Return a text with the closures that are only in `after` and those only in `before`; "none" if neither."""
    was, now = set(before or ()), set(after)
    changes = ((Message("also %(dates)s"), now - was), (Message("no longer %(dates)s"), was - now))
    words = [translate(text, dates=", ".join(date_text(day) for day in sorted(days))) for text, days in changes if days]
    return "; ".join(words) or translate(_WORD[None])


def _texts_changed(before: Texts | None, after: Texts) -> str:
    """Return which clauses a version adds, drops or changes, by language; "none" if none."""
    words = []
    for of, named in (("de", Message("in German")), ("en", Message("in English"))):
        was, is_now = getattr(before or Texts(), of), getattr(after, of)
        if was is None and is_now is not None:
            words.append(translate("new %(text)s", text=named))
        elif is_now is None and was is not None:
            words.append(translate("no longer there %(text)s", text=named))
        elif was != is_now:
            words.append(translate("changed %(text)s", text=named))
    return ", ".join(words) or translate(_WORD[None])


_SHOWN: dict[str, Callable[[Any], str]] = {
    "window_business_days": business_days_text,
    "late_entry_days": business_days_text,
    "refund_due_days": _calendar_days,
    "business_week": _week,
    "end_week": _week,
    "phone": _channel_text,
    "email": _channel_text,
}
_CHANGES: dict[str, Callable[[Any, Any], str]] = {"closures": _closures_changed, "texts": _texts_changed}

_CLAUSE = {"de": Message("The German clause"), "en": Message("The English clause")}


def warnings_data(terms: Terms) -> list[dict[str, str]]:
    """Return the API's list of where a version's clauses contradict its terms: codes, language, quotes, a sentence."""
    return [
        {
            "code": found.kind.value,
            "language": found.language,
            "said": found.said,
            "term": found.term,
            "text": _warning_text(found, terms),
        }
        for found in mismatches(terms)
    ]


def _warning_text(found: Mismatch, terms: Terms) -> str:
    """Return the sentence that warns of a clause which contradicts a term, or does not name the term's channel."""
    if found.kind is MismatchKind.CHANNEL_NOT_NAMED:
        text = Message("%(clause)s names another channel, but not this one; the term %(term)s says: %(value)s.")
    else:
        text = Message('%(clause)s says "%(said)s"; the term %(term)s says: %(value)s.')
    value = _SHOWN[found.term](getattr(terms, found.term))
    return translate(text, clause=_CLAUSE[found.language], said=found.said, term=found.term, value=value)


_CLOSURE = {
    "in_the_past": Message(
        "It is in the past: a window that has ended stays as it is, and only a window that has not ended yet skips "
        "this date."
    ),
    "no_business_day": Message("It is not a business day in the policy's region anyway."),
}


def closure_text(day: date, notices: Sequence[str], *, new: bool = True) -> str:
    """Return sentences: that the vendor is closed on a date, and what this changes, by the codes in `notices`.

    Without codes, every window that is still open skips the date; if the closure is not `new`, nothing has changed.
    """
    sentences = [translate("The vendor is closed on %(date)s.", date=date_text(day))]
    if not new:
        sentences.append(translate("The closure was entered before; nothing has changed."))
    elif notices:
        sentences += [translate(_CLOSURE[notice]) for notice in notices]
    else:
        sentences.append(translate("Every window that has not ended yet skips it."))
    return " ".join(sentences)


_REGISTERED = {
    "published": Message("Version %(version)s of %(policy)s is published. %(order)s It is in force %(since)s."),
    "imported": Message("Version %(version)s of %(policy)s is imported. %(order)s It is in force %(since)s."),
    "dry_run": Message(
        "Version %(version)s of %(policy)s would be published. %(order)s It would be in force %(since)s."
    ),
    "known": Message(
        "Version %(version)s of %(policy)s was registered before; nothing has changed. It is in force %(since)s."
    ),
}


def registration_text(version: PolicyVersion, follows: int | None, done: str) -> str:
    """Return sentences: what was done or would be done to a version, which version it follows, and since when it holds.

    `follows` is the number of the version in force before it, if any; `done` is `published`, `imported`, `dry_run` (it
    would be published) or `known` (it was registered before).
    """
    if follows is not None:
        order = Message("It follows version %(follows)s.", follows=follows)
    elif version.version == 1:
        order = Message("It begins a new policy.")
    else:
        order = Message("No other version is in force before it.")
    if version.effective_from is None:
        since = Message("from the beginning")
    else:
        since = Message("from %(at)s", at=instant_text(version.effective_from, version.terms.time_zone))
    return translate(_REGISTERED[done], version=version.version, policy=version.policy_id, order=order, since=since)


def compared_text(version: PolicyVersion, beside: int | None, *, same: bool) -> str:
    """Return the heading above the differences from version number `beside`; `same`: there are none.

    If `beside` is None, the version begins a new policy.
    """
    if beside is None:
        text = Message("Version %(version)s of %(policy)s, a new policy:")
    elif same:
        text = Message("Version %(version)s of %(policy)s says the same as version %(beside)s.")
    else:
        text = Message("Version %(version)s of %(policy)s, compared with version %(beside)s:")
    return translate(text, version=version.version, policy=version.policy_id, beside=beside)

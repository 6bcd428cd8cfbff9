"""Policies in words: what a version says, and how it differs from another, in German and English."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from babel.dates import get_day_names

from refunds.domain.business_days import WEEKDAYS, Week
from refunds.domain.policy import Difference, PolicyVersion
from refunds.domain.terms import ContactChannel, JudgedBy, Texts, TimelyBy
from refunds.presentation.texts.dates import date_text, instant_text, total_text

_LABEL = {
    "en": {
        "window_business_days": "Window",
        "business_week": "Business week",
        "end_week": "Days on which the window may end",
        "region": "Region",
        "follow_order_region": "The order's region counts",
        "time_zone": "Time zone",
        "closures": "Closed",
        "timely_by": "In time by",
        "judged_by": "Judged by the version in force when",
        "phone": "By telephone",
        "email": "By e-mail",
        "late_entry_days": "A late entry needs a supervisor after",
        "evidence_after_deadline": "A ticket is needed for entries after the deadline",
        "refund_due_days": "Refund target",
        "vendor_name": "Vendor",
        "page_url": "Page",
        "page_published_at": "Page published",
        "texts": "Clause",
    },
    "de": {
        "window_business_days": "Frist",
        "business_week": "Werktage",
        "end_week": "Tage, an denen die Frist enden kann",
        "region": "Region",
        "follow_order_region": "Die Region der Bestellung zählt",
        "time_zone": "Zeitzone",
        "closures": "Geschlossen",
        "timely_by": "Rechtzeitig nach",
        "judged_by": "Es gilt die Fassung, die in Kraft war, als",
        "phone": "Per Telefon",
        "email": "Per E-Mail",
        "late_entry_days": "Nur durch die Teamleitung: Einträge später als",
        "evidence_after_deadline": "Ticket nötig bei Einträgen nach Fristende",
        "refund_due_days": "Ziel der Erstattung",
        "vendor_name": "Anbieter",
        "page_url": "Seite",
        "page_published_at": "Seite veröffentlicht",
        "texts": "Klausel",
    },
}
_WORD: dict[str, dict[Any, str]] = {
    "en": {
        None: "none",
        True: "yes",
        False: "no",
        "country": "the statutory week of each date",
        TimelyBy.RECEIVED: "the time of receipt",
        TimelyBy.SENT: "the time of sending",
        JudgedBy.PROVIDED: "the service was provided",
        JudgedBy.ORDERED: "the order was placed",
        "refused": "does not count",
        "unchecked": "counts, by whatever number or address",
        "official": "counts by {}",
        "added": "also {}",
        "removed": "no longer {}",
        "de": "in German",
        "en": "in English",
        "text_added": "new {}",
        "text_removed": "no longer there {}",
        "text_changed": "changed {}",
        "new": "{label}: {after}",
        "changed": "{label}: {after} (was: {before})",
    },
    "de": {
        None: "keine Angabe",
        True: "ja",
        False: "nein",
        "country": "die gesetzliche Woche des jeweiligen Datums",
        TimelyBy.RECEIVED: "dem Eingang",
        TimelyBy.SENT: "der Absendung",
        JudgedBy.PROVIDED: "die Leistung erbracht wurde",
        JudgedBy.ORDERED: "die Bestellung aufgegeben wurde",
        "refused": "zählt nicht",
        "unchecked": "zählt, gleich über welche Nummer oder Adresse",
        "official": "zählt über {}",
        "added": "zusätzlich {}",
        "removed": "nicht mehr {}",
        "de": "auf Deutsch",
        "en": "auf Englisch",
        "text_added": "neu {}",
        "text_removed": "nicht mehr vorhanden {}",
        "text_changed": "geändert {}",
        "new": "{label}: {after}",
        "changed": "{label}: {after} (bisher: {before})",
    },
}
_CALENDAR_DAYS = {"en": ("1 calendar day", "{} calendar days"), "de": ("1 Kalendertag", "{} Kalendertage")}


def difference_text(difference: Difference, time_zone: str, language: str) -> str:
    """A difference in words: what the term says now, and what it said before, if it replaces something."""
    term, before, after, replaces = difference
    label, words = _LABEL[language][term], _WORD[language]
    if term in _CHANGES:
        return words["new"].format(label=label, after=_CHANGES[term](before, after, language))

    def value_text(value: Any) -> str:
        if isinstance(value, datetime):
            return instant_text(value, time_zone, language)
        return words[None] if value is None else _SHOWN.get(term, _plain)(value, language)

    form = words["changed" if replaces else "new"]
    return form.format(label=label, after=value_text(after), before=value_text(before))


def differences_data(found: Iterable[Difference], time_zone: str, language: str) -> list[dict[str, str]]:
    """Differences as the API returns them: the name of each term, and the difference in words."""
    return [{"term": one.term, "text": difference_text(one, time_zone, language)} for one in found]


def _plain(value: Any, language: str) -> str:
    return _WORD[language][value] if isinstance(value, bool | TimelyBy | JudgedBy) else str(value)


def _calendar_days(number: int, language: str) -> str:
    return _CALENDAR_DAYS[language][number != 1].format(number)


def _week(week: Week, language: str) -> str:
    if week == "country":
        return _WORD[language][week]
    names = get_day_names("abbreviated", locale=language)
    return ", ".join(names[WEEKDAYS.index(day)].rstrip(".") for day in week)


def _channel(channel: ContactChannel, language: str) -> str:
    state = "refused" if not channel.accepted else "official" if channel.points else "unchecked"
    return _WORD[language][state].format(", ".join(channel.points))


def _closures_changed(before: tuple[date, ...] | None, after: tuple[date, ...], language: str) -> str:
    was, now = set(before or ()), set(after)
    changes = [(form, sorted(days)) for form, days in (("added", now - was), ("removed", was - now)) if days]
    words = (
        _WORD[language][form].format(", ".join(date_text(day, language) for day in days)) for form, days in changes
    )
    return "; ".join(words) or _WORD[language][None]


def _texts_changed(before: Texts | None, after: Texts, language: str) -> str:
    words = []
    for of in ("de", "en"):
        was, is_now = getattr(before or Texts(), of), getattr(after, of)
        if was != is_now:
            form = "text_added" if was is None else "text_removed" if is_now is None else "text_changed"
            words.append(_WORD[language][form].format(_WORD[language][of]))
    return ", ".join(words) or _WORD[language][None]


_SHOWN: dict[str, Callable[[Any, str], str]] = {
    "window_business_days": total_text,
    "late_entry_days": total_text,
    "refund_due_days": _calendar_days,
    "business_week": _week,
    "end_week": _week,
    "phone": _channel,
    "email": _channel,
}
_CHANGES: dict[str, Callable[[Any, Any, str], str]] = {"closures": _closures_changed, "texts": _texts_changed}

_CLOSURE = {
    "en": {
        "closed": "The vendor is closed on {date}.",
        "": "Every window that has not ended by now passes over it.",
        "in_the_past": "It lies in the past: what has ended stays as it is, and only a window that has not ended by "
        "now passes over it.",
        "no_business_day": "It is no business day in the policy's region anyway.",
        "known": "That was entered before, and nothing has changed.",
    },
    "de": {
        "closed": "Der Anbieter hat am {date} geschlossen.",
        "": "Jede Frist, die jetzt noch läuft, überspringt den Tag.",
        "in_the_past": "Der Tag liegt in der Vergangenheit: Was abgelaufen ist, bleibt, wie es ist; nur eine Frist, "
        "die jetzt noch läuft, überspringt ihn.",
        "no_business_day": "Er ist in der Region der Bedingungen ohnehin kein Werktag.",
        "known": "Das war schon eingetragen, nichts hat sich geändert.",
    },
}


def closure_text(day: date, notices: Sequence[str], language: str, *, new: bool = True) -> str:
    """The effect of a new closure, or a note that it was entered before."""
    said = _CLOSURE[language]
    effect = [said[one] for one in notices or [""]] if new else [said["known"]]
    return " ".join([said["closed"].format(date=date_text(day, language)), *effect])


_REGISTERED = {
    "en": {
        "published": "Version {version} of {policy} is published. {order} It holds {since}.",
        "imported": "Version {version} of {policy} is imported. {order} It holds {since}.",
        "dry_run": "Version {version} of {policy} would be published. {order} It would hold {since}.",
        "known": "Version {version} of {policy} was registered before, and nothing has changed. It holds {since}.",
        "follows": "It follows version {follows}.",
        "first": "It begins a new policy.",
        "alone": "No version stands before it.",
        "since": "from {at}",
        "beginning": "from the beginning",
    },
    "de": {
        "published": "Fassung {version} von {policy} ist veröffentlicht. {order} Sie gilt {since}.",
        "imported": "Fassung {version} von {policy} ist übernommen. {order} Sie gilt {since}.",
        "dry_run": "Fassung {version} von {policy} würde veröffentlicht. {order} Sie gälte {since}.",
        "known": "Fassung {version} von {policy} war schon erfasst, nichts hat sich geändert. Sie gilt {since}.",
        "follows": "Sie folgt auf Fassung {follows}.",
        "first": "Mit ihr beginnen neue Bedingungen.",
        "alone": "Vor ihr steht keine Fassung.",
        "since": "ab {at}",
        "beginning": "von Anfang an",
    },
}


def registration_text(version: PolicyVersion, follows: int | None, done: str, language: str) -> str:
    """What happened to a version; `done` is `published`, `imported`, `dry_run` or `known` (registered before)."""
    said = _REGISTERED[language]
    nothing_before = said["first" if version.version == 1 else "alone"]
    order = nothing_before if follows is None else said["follows"].format(follows=follows)
    return said[done].format(
        version=version.version, policy=version.policy_id, order=order, since=_since(version, language)
    )


def _since(version: PolicyVersion, language: str) -> str:
    """From when a version is in force, in its own time zone."""
    if version.effective_from is None:
        return _REGISTERED[language]["beginning"]
    at = instant_text(version.effective_from, version.terms.time_zone, language)
    return _REGISTERED[language]["since"].format(at=at)


_COMPARED = {
    "en": {
        "differs": "Version {version} of {policy}, beside version {beside}:",
        "same": "Version {version} of {policy} says what version {beside} says.",
        "first": "Version {version} of {policy}, a new policy:",
    },
    "de": {
        "differs": "Fassung {version} von {policy}, neben Fassung {beside}:",
        "same": "Fassung {version} von {policy} sagt, was Fassung {beside} sagt.",
        "first": "Fassung {version} von {policy}, neue Bedingungen:",
    },
}


def compared_text(version: PolicyVersion, beside: int | None, language: str, *, same: bool) -> str:
    """The heading of a list of differences: what a version is compared with."""
    form = "first" if beside is None else "same" if same else "differs"
    return _COMPARED[language][form].format(version=version.version, policy=version.policy_id, beside=beside)


_SIMULATION = {
    "en": {
        "orders": "{orders} orders: {longer} with a longer window, {shorter} with a shorter one; {not_provided} not "
        "yet provided.",
        "contacts": "{contacts} contacts: {gained} newly refundable ({gained_orders} orders), {lost} no longer "
        "({lost_orders} orders).",
        "undecided": "{count} cannot be judged by the draft: {code}.",
        "to_eligible": "newly refundable",
        "to_refused": "no longer refundable",
    },
    "de": {
        "orders": "{orders} Bestellungen: {longer} mit längerer Frist, {shorter} mit kürzerer; {not_provided} noch "
        "nicht erbracht.",
        "contacts": "{contacts} Kontakte: {gained} neu erstattbar ({gained_orders} Bestellungen), {lost} nicht mehr "
        "({lost_orders} Bestellungen).",
        "undecided": "{count} kann der Entwurf nicht beurteilen: {code}.",
        "to_eligible": "neu erstattbar",
        "to_refused": "nicht mehr erstattbar",
    },
}


def simulation_texts(language: str) -> Mapping[str, str]:
    """The texts of a simulation, by name."""
    return _SIMULATION[language]

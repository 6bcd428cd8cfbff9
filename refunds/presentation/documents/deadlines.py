"""The sheet of deadlines: one page for a week, for agents when all systems are down."""

from collections.abc import Iterable
from datetime import timedelta

from refunds.domain.holidays_data import subdivisions
from refunds.domain.instants import zone
from refunds.presentation.documents.templating import written
from refunds.presentation.texts.dates import date_text, instant_text, region_text, short_date_text, zone_text
from refunds.service.deadlines import Provided, Sheet

_TITLE = {
    "en": "{policy}: until when an order can be cancelled, week from {monday}. A request counts until midnight "
    "({zone}).",
    "de": "{policy}: bis wann eine Bestellung storniert werden kann, Woche vom {monday}. Eine Anfrage zählt bis 24 Uhr "
    "({zone}).",
}
_UNKNOWN_PART = {"en": "{country} (part unknown)", "de": "{country} (Landesteil unbekannt)"}
_PART = {
    "en": {"since": ", from {:%H:%M}", "until": ", until {:%H:%M}"},
    "de": {"since": ", ab {:%H:%M} Uhr", "until": ", bis {:%H:%M} Uhr"},
}
_NOTES = {
    "en": {
        "shortened": "For services provided earlier, the window may still run: they are not on this sheet.",
        "ordered": "Orders placed before {since} are judged by an earlier version: their deadlines may be others.",
    },
    "de": {
        "shortened": "Für früher erbrachte Leistungen kann die Frist noch laufen: Sie stehen nicht auf diesem Blatt.",
        "ordered": "Für Bestellungen von vor {since} gilt eine frühere Fassung: Ihre Fristen können andere sein.",
    },
}
_MOST = {"en": "most regions", "de": "die meisten Regionen"}
_EVERYWHERE = {"en": "everywhere", "de": "überall"}
_HEADING = {"en": "Service provided", "de": "Leistung erbracht"}
_LISTED = 4
"""Regions that the first heading lists at most; a larger group is "most regions"."""


def render_html(sheet: Sheet, language: str) -> str:
    """The sheet as a page to print."""
    return written(
        "deadlines.html",
        language,
        sheet=sheet,
        terms=sheet.version.terms,
        sunday=sheet.monday + timedelta(days=6),
        groups=group_names(sheet, language),
        notes=notes(sheet, language),
        most=_listed(sheet.groups[0], language),
        service_day=lambda row: service_day(row, language),
    )


def title(sheet: Sheet, language: str) -> str:
    """The title of the sheet, in one line."""
    zone_told = zone_text(sheet.version.terms.time_zone, language)
    monday = date_text(sheet.monday, language)
    return _TITLE[language].format(policy=sheet.policy.policy_id, monday=monday, zone=zone_told)


def heading(language: str) -> str:
    """The heading of the first column."""
    return _HEADING[language]


def group_names(sheet: Sheet, language: str) -> list[str]:
    """The names of the groups: their regions, or "most regions" if the largest group is too long to list."""
    if len(sheet.groups) == 1 and len(sheet.groups[0]) > 1:
        return [_EVERYWHERE[language]]
    first, *others = sheet.groups
    names = [_MOST[language] if len(first) > _LISTED else _listed(first, language)]
    return names + [_listed(group, language) for group in others]


def _listed(regions: Iterable[str], language: str) -> str:
    return ", ".join(_region(region, language) for region in regions)


def _region(region: str, language: str) -> str:
    """The name of a region; a country that has parts is for customers whose part is unknown."""
    name = region_text(region, language)
    whole = "-" in region or not subdivisions(region)
    return name if whole else _UNKNOWN_PART[language].format(country=name)


def notes(sheet: Sheet, language: str) -> list[str]:
    """What the reader must also know."""
    lines = [_NOTES[language]["shortened"]] if sheet.shortened else []
    if sheet.ordered_from is not None:
        since = instant_text(sheet.ordered_from, sheet.version.terms.time_zone, language)
        lines.append(_NOTES[language]["ordered"].format(since=since))
    return lines


def service_day(row: Provided, language: str) -> str:
    """The service day; with the part of the day if another version is in force in the rest."""
    tz = zone(row.version.terms.time_zone)
    bounds = {"since": row.since, "until": row.until}
    parts = [_PART[language][name].format(at.astimezone(tz)) for name, at in bounds.items() if at is not None]
    return "".join([short_date_text(row.day, language), *parts])

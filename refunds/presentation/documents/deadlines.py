"""The sheet of deadlines: for a week, on one page, for agents when everything is down."""

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
"""Regions that a heading names; of more, it says that they are most."""


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
    """What the sheet is about, in a line."""
    zone_told = zone_text(sheet.version.terms.time_zone, language)
    monday = date_text(sheet.monday, language)
    return _TITLE[language].format(policy=sheet.policy.policy_id, monday=monday, zone=zone_told)


def heading(language: str) -> str:
    """What the days of the first column are."""
    return _HEADING[language]


def group_names(sheet: Sheet, language: str) -> list[str]:
    """What the groups of regions are called: by their regions, the largest as most of them."""
    if len(sheet.groups) == 1 and len(sheet.groups[0]) > 1:
        return [_EVERYWHERE[language]]
    first, *others = sheet.groups
    names = [_MOST[language] if len(first) > _LISTED else _listed(first, language)]
    return names + [_listed(group, language) for group in others]


def _listed(regions: Iterable[str], language: str) -> str:
    return ", ".join(_region(region, language) for region in regions)


def _region(region: str, language: str) -> str:
    """The name of a region; a country stands for the customers of whom no more is known."""
    name = region_text(region, language)
    whole = "-" in region or not subdivisions(region)
    return name if whole else _UNKNOWN_PART[language].format(country=name)


def notes(sheet: Sheet, language: str) -> list[str]:
    """What a reader must know besides."""
    lines = [_NOTES[language]["shortened"]] if sheet.shortened else []
    if sheet.ordered_from is not None:
        since = instant_text(sheet.ordered_from, sheet.version.terms.time_zone, language)
        lines.append(_NOTES[language]["ordered"].format(since=since))
    return lines


def service_day(row: Provided, language: str) -> str:
    """The day of a service; with the part of it, where another version holds in the rest."""
    tz = zone(row.version.terms.time_zone)
    bounds = {"since": row.since, "until": row.until}
    parts = [_PART[language][name].format(at.astimezone(tz)) for name, at in bounds.items() if at is not None]
    return "".join([short_date_text(row.day, language), *parts])

"""The sheet of deadlines: for a week, on one page, for agents when everything is down."""

from collections.abc import Iterable
from datetime import timedelta

from refunds.documents import written
from refunds.instants import zone
from refunds.service.deadlines import Provided, Sheet
from refunds.wording import region_text, short_date_text

_SINCE = {"en": "{day}, from {time:%H:%M}", "de": "{day}, ab {time:%H:%M} Uhr"}
_MOST = {"en": "most regions", "de": "die meisten Regionen"}
_EVERYWHERE = {"en": "everywhere", "de": "überall"}
_HEADING = {"en": "Service provided", "de": "Leistung erbracht"}
_LISTED = 4
"""Regions that a heading names; of more, it says that they are most."""


def page(sheet: Sheet, language: str) -> str:
    """The sheet as a page to print."""
    return written(
        "deadlines.html",
        language,
        sheet=sheet,
        terms=sheet.version.terms,
        sunday=sheet.monday + timedelta(days=6),
        groups=group_names(sheet, language),
        most=_listed(sheet.groups[0], language),
        service_day=lambda row: service_day(row, language),
    )


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
    return ", ".join(region_text(region, language) for region in regions)


def service_day(row: Provided, language: str) -> str:
    """The day of a service; with the time from which another version holds, if one begins on it."""
    day = short_date_text(row.day, language)
    if row.since is None:
        return day
    return _SINCE[language].format(day=day, time=row.since.astimezone(zone(row.version.terms.time_zone)))

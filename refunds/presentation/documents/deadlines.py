"""The sheet of deadlines: one page for a week, for agents when all systems are down."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from refunds.domain.holidays_data import provisional_from
from refunds.domain.instants import zone
from refunds.domain.regions import subdivisions
from refunds.presentation.documents.templating import render_document
from refunds.presentation.language import translate
from refunds.presentation.texts import dates
from refunds.service.deadlines import Provided, Sheet

_LISTED = 4  # regions that the first heading lists at most; a larger group is "most regions"


def render_html(sheet: Sheet) -> str:
    """Return the sheet as a page to print, in the reader's language."""
    return render_document(
        "deadlines.html",
        sheet=sheet,
        terms=sheet.version.terms,
        sunday=sheet.monday + timedelta(days=6),
        groups=group_names(sheet),
        notes=notes(sheet),
        most=_listed(sheet.groups[0]),
        service_day=service_day,
    )


def title(sheet: Sheet) -> str:
    """Return the title of the sheet, in one line, in the reader's language: its policy, week and time zone."""
    return translate(
        "%(policy)s: until when an order can be cancelled, week from %(monday)s. A request counts until midnight "
        "(%(zone)s).",
        policy=sheet.policy.policy_id,
        monday=dates.date_text(sheet.monday),
        zone=dates.zone_text(sheet.version.terms.time_zone),
    )


def group_names(sheet: Sheet) -> list[str]:
    """Return the names of the groups: their regions, or "most regions" for a first group of more than `_LISTED`.

    A single group of several regions is "everywhere".
    """
    if len(sheet.groups) == 1 and len(sheet.groups[0]) > 1:
        return [translate("everywhere")]
    first, *others = sheet.groups
    names = [translate("most regions") if len(first) > _LISTED else _listed(first)]
    return names + [_listed(group) for group in others]


def _listed(regions: Iterable[str]) -> str:
    """Return the names of the regions, with commas between them."""
    return ", ".join(_region(region) for region in regions)


def _region(region: str) -> str:
    """Return the name of a region, with "(part unknown)" if it is a country that has subdivisions."""
    name = dates.region_text(region)
    whole = "-" in region or not subdivisions(region)
    return name if whole else translate("%(country)s (part unknown)", country=name)


def notes(sheet: Sheet) -> Iterator[str]:
    """Yield the notes of a sheet that apply: provisional last days, earlier services left out, an earlier version."""
    moving: dict[date, list[str]] = {}
    for i, group in enumerate(sheet.groups):
        for region in group:
            since = provisional_from(region)
            if since and any(row.last_days[i] >= since for row in sheet.provided):
                moving.setdefault(since, []).append(region)
    for first, regions in moving.items():
        yield translate(
            "%(regions)s: last days from %(since)s on are provisional, because the holidays and working weekends "
            "are not decreed yet.",
            regions=_listed(regions),
            since=dates.date_text(first),
        )
    if sheet.shortened:
        yield translate("For services provided earlier, the window may still run: they are not on this sheet.")
    if sheet.ordered_from is not None:
        ordered = dates.instant_text(sheet.ordered_from, sheet.version.terms.time_zone)
        yield translate(
            "Orders placed before %(since)s are judged by an earlier version: their deadlines may be others.",
            since=ordered,
        )


def service_day(row: Provided) -> str:
    """Return the service day of a row as text; if its version judges a part of the day, with the times of that part."""
    tz, day = zone(row.version.terms.time_zone), dates.short_date_text(row.day)
    since = row.since and dates.time_text(row.since.astimezone(tz))
    until = row.until and dates.time_text(row.until.astimezone(tz))
    if since and until:
        return translate("%(day)s, from %(since)s, until %(until)s", day=day, since=since, until=until)
    if since:
        return translate("%(day)s, from %(since)s", day=day, since=since)
    return translate("%(day)s, until %(until)s", day=day, until=until) if until else day

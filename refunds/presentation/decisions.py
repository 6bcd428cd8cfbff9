"""Decisions as the API returns them. Many differ only in the instant of the request: these are written only once."""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import orjson

from refunds.domain.business_days import Day
from refunds.domain.instants import format_instant, format_local, zone
from refunds.domain.outcomes import Outcome, ToldWindow
from refunds.domain.region_days import BUSINESS
from refunds.presentation.language import language
from refunds.presentation.texts.decisions import reason_text, why_data

_LONGEST = 62  # dates of a window. Longer answers and those of a what-if are not kept: callers invent them

_ANY_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)


def decision_data(outcome: Outcome, request: str | None = None) -> dict[str, Any]:
    """Return a decision as the API shows it, with its days, as plain data.

    `request` is the id of the contact whose facts were judged, if that is another one than the contact answered.
    """
    data: dict[str, Any] = orjson.loads(decision_json(outcome, request))
    return data


def decision_json(outcome: Outcome, request: str | None = None, *, with_days: bool = True) -> bytes:
    """Return the API's JSON for a decision; `request` is the id of the stored request that was judged, or None."""
    if outcome.names or outcome.overridden or len(outcome.day_codes) > _LONGEST:
        before, after = _written(outcome, with_days)
    else:
        before, after = _cached_parts(outcome[:1] + outcome[2:-1], language(), with_days)
    return b"%b%b%b%b}" % (before, orjson.dumps(format_instant(outcome.requested_at)), after, orjson.dumps(request))


@lru_cache(maxsize=4096)  # 12 MB: a year's service days in one region, in two languages, or a week's in 50 regions
def _cached_parts(stated: tuple[Any, ...], _: str, with_days: bool) -> tuple[bytes, bytes]:
    """Return the two parts of a decision's JSON, as `_written` does, but from a cache if they were made before.

    `stated` is an outcome without instant and names; `_` is the language, which `_written` takes from the context.
    """
    reason, *others = stated
    return _written(Outcome(reason, _ANY_INSTANT, *others), with_days)


def _written(outcome: Outcome, with_days: bool) -> tuple[bytes, bytes]:
    """Return two parts of a decision's JSON, between and after which the caller writes a value.

    The first part ends before the value of `requested_at`, the second before that of `judged_by_contact`.
    """
    before = {
        "eligible": outcome.eligible,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "reason_text": reason_text(outcome),
        "requested_at": "",
    }
    after = {
        "window": _window_data(outcome),
        **({"days": [day_data(day, outcome) for day in outcome.days]} if with_days else {}),
        "calendar": {
            "region": outcome.region,
            "holidays_version": outcome.holidays_version,
            "tzdata_version": outcome.tzdata_version,
            "fingerprint": outcome.fingerprint,
        },
        "policy": {"id": outcome.policy, "version": outcome.version, "overridden": outcome.overridden},
        "notices": outcome.notices,
        "judged_by_contact": None,
    }
    return orjson.dumps(before).removesuffix(b'""}'), b"," + orjson.dumps(after)[1:].removesuffix(b"null}")


def _window_data(outcome: Outcome) -> dict[str, Any] | None:
    """Return the data of a decision's window as the API shows it, such as its days and deadline; None if none runs."""
    window, deadline = outcome.window, outcome.deadline
    if window is None or deadline is None:
        return None
    first_counted = window.service_day.toordinal() + 1 + outcome.day_codes.index(BUSINESS)
    return {
        "length": window.length,
        "unit": "business_day",
        "service_day": window.service_day.isoformat(),
        "first_counted_day": date.fromordinal(first_counted).isoformat(),
        "last_day": window.last_day.isoformat(),
        "deadline": format_instant(deadline),
        "deadline_local": format_local(deadline, zone(outcome.time_zone)),
        "time_zone": outcome.time_zone,
        "business_days_left": outcome.business_days_left,
    }


def day_data(day: Day, outcome: Outcome | ToldWindow) -> dict[str, Any]:
    """Return a date of a window as the API shows it; `outcome` is the decision or promise that has the window."""
    data: dict[str, Any] = {"date": day.date.isoformat(), "status": day.status}
    if day.ordinal:
        data["ordinal"] = day.ordinal
    if day.why:
        data |= why_data(day.date, day.why, outcome.region, outcome.names)
    if day.extension:
        data["extension"] = True
    return data

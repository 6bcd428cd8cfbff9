"""Holiday data as another release may have them, for a test."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from types import MappingProxyType

import pytest

from refunds.domain import holidays_data, judging
from refunds.service import promises, watch


def forget():
    """Empty the caches of calendars, as in a new process."""
    for cached in (holidays_data._calendar, holidays_data._region_days, holidays_data._holidays):
        cached.cache.clear()
    for cached in (judging._closed, judging._closed_again):
        cached.cache_clear()


@contextmanager
def release(version="99.0", *, without=(), more=(), years=0):
    """Serve by a release of the holiday data in which, everywhere, some dates are no holidays, and others are.

    It covers more `years`, without holidays.
    """
    known = holidays_data._holidays

    def changed(country, subdivision, language):
        found = known(country, subdivision, language)
        names = {day: name for day, name in found.names.items() if day not in set(map(date.fromisoformat, without))}
        names |= dict.fromkeys(map(date.fromisoformat, more), "A new holiday")
        return replace(found, last_year=found.last_year + years, names=MappingProxyType(names))

    changed.cache = known.cache
    forget()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(holidays_data, "_holidays", changed)
        for module in (holidays_data, promises, watch):
            patched.setattr(module, "HOLIDAYS_VERSION", version)
        yield
    forget()

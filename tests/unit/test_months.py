"""The months of a simulation: those without orders are there, too."""

import pytest

from refunds.presentation.documents.simulation import with_empty_months
from refunds.service.simulation import Tally


@pytest.mark.parametrize(
    ("counted", "shown"),
    [
        ([], []),
        (["2026-03"], ["2026-03"]),
        (["2026-02", "2025-11"], ["2025-11", "2025-12", "2026-01", "2026-02"]),
        (["1970-01", "2026-03"], ["1970-01", "2026-03"]),
    ],
)
def test_months_without_orders_are_between_the_others(counted, shown):
    one = Tally(orders=1)
    found = with_empty_months(dict.fromkeys(counted, one))
    assert list(found) == shown
    assert {month for month, tally in found.items() if tally == one} == set(counted)

"""What agents see of the limits on a customer's data."""

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import LimitKind
from refunds.service import privacy
from tests.console.test_requests import answer

LINES = {
    LimitKind.HOLD: None,
    LimitKind.RESTRICTION: "only the privacy role reads them",
    LimitKind.OBJECTION: "objects to the use of their data",
}


@pytest.mark.parametrize("kind", LINES)
def test_an_answer_says_in_one_line_that_a_customer_restricts_or_objects(site, agent, kind):
    order = site.register(customer_ref=f"K-{kind}-muster")
    with site.store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, uow.orders.get(order).customer_id, kind, "a dispute")
    text = answer(agent, order).main.text
    assert [line for line in LINES.values() if line and line in text] == [one for one in [LINES[kind]] if one]
    assert ("-muster" in text) == (kind is not LimitKind.RESTRICTION)

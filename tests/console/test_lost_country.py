"""The pages about an order whose country the holiday data has lost."""

import pytest

from refunds.domain.permissions import Role
from refunds.domain.records import Intent
from refunds.service.watch import watch
from tests.changed_data import lost_country
from tests.console.conftest import opened

UNDECIDED = "A supervisor must decide whether the request is in time"


@pytest.fixture
def site(now):
    """An installation of its own, as its lists show every order."""
    found = opened()
    yield found
    found.store.close()


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_shows_it_with_what_was_told(site, language):
    watch(site.store)
    order = site.register(region="DK")
    contact = site.record(order)
    ended = site.register(region="DK")
    done = site.cancel(ended).cancellation_id
    browser = site.browser(Role.SUPERVISOR, language)
    before = browser.get(f"/console/orders/{order}").h1
    with lost_country("99.0", "DK"):
        watch(site.store)
        for path, said in (
            (f"orders/{order}", before),
            (f"orders/{order}/history", order),
            (f"orders/{order}/evidence", order),
            (f"contacts/{contact}", order),
            (f"cancellations/{done}", ended),
            (f"customers/{site.customer(order)}", order),
            ("open", order),
        ):
            page = browser.get(f"/console/{path}")
            assert (page.status, said in page.text) == (200, True), path
        assert browser.get("/console/").status == 200


def test_an_order_that_was_told_no_end_waits_for_a_supervisor(site):
    order = site.register(region="DK", service_provided_at=None)
    site.record(order, intent=Intent.QUESTION)
    with lost_country("99.0", "DK"):
        site.register(order, region="DK")
        page = site.browser(Role.SUPERVISOR).get(f"/console/orders/{order}")
        assert (page.status, page.h1) == (200, UNDECIDED)


def test_the_start_page_is_shown_if_the_default_policys_country_is_lost(site):
    order = site.register()
    with lost_country("99.0", "DE"):
        browser = site.browser(Role.AGENT)
        assert browser.get("/console/").status == 200
        assert browser.get(f"/console/orders/{order}").status == 200

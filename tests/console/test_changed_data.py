"""What the Open list says of changed holiday data."""

from datetime import date, timedelta

import pytest

from refunds.domain.permissions import Role
from refunds.service import watch
from tests.changed_data import other_holidays
from tests.console.conftest import NOW, opened

SAID = {
    "en": "The calendar data changed on Wednesday, 8 April 2026: 1 open window keeps the later end that was promised.",
    "de": "Am Mittwoch, 8. April 2026, haben sich die Kalenderdaten geändert: 1 offene Frist behält ihr zugesagtes "
    "späteres Ende.",
}


@pytest.mark.parametrize("language", SAID)
def test_the_open_list_says_for_two_weeks_that_the_data_changed(now, language):
    site = opened()
    agent = site.browser(Role.AGENT, language)

    def said():
        return SAID[language] in agent.get("/console/open").text

    watch.watch(site.store)
    site.register()
    now.shift(1)
    assert not said()
    with other_holidays("9.1", lost=[("DE-BY", date(2026, 4, 6))]):
        watch.watch(site.store)
    assert said()
    now.move_to(NOW + timedelta(days=14))
    agent = site.browser(Role.AGENT, language)
    assert said()
    now.shift(2)
    assert not said()
    site.store.close()


def test_the_open_list_does_not_mention_data_that_moved_no_window(now):
    site = opened()
    watch.watch(site.store)
    with other_holidays("9.1"):
        watch.watch(site.store)
    assert "calendar data" not in site.browser(Role.AGENT).get("/console/open").text
    site.store.close()

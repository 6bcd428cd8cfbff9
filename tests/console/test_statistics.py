"""The page of statistics: a table and a chart of a month that is closed, without a number of few customers."""

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.statistics import ClosedMonth


def close(site, month, **cells):
    """Store the statistics of a month."""
    with site.store.write(COMMAND_LINE) as uow:
        closed = ClosedMonth(month=month, cells=cells, closed_at=uow.now, closed_by=COMMAND_LINE.actor)
        uow.statistics.add(closed, EventType.STATISTICS_CLOSED)


def rows(page):
    """The cells of each row of the table."""
    return [[one.text for one in row.every("th", "td")] for row in page.root.every("tr")]


def test_the_page_shows_a_closed_month_with_few_where_there_is_no_number(site):
    browser = site.browser(Role.PRODUCT)
    assert "No month is closed yet" in browser.get("/console/statistics").text
    assert browser.get("/console/statistics?month=2026-02").status == 404
    close(site, "2026-02")
    assert "All numbers of this month are few." in browser.get("/console/statistics?month=rubbish").text
    close(site, "2026-03", DE={"phone": {"cancelled": 1214, "question": 12}})
    page = browser.get("/console/statistics")
    assert (page.status, page.h1) == (200, "Statistics, March 2026")
    head, phone, email, *_ = rows(page)
    assert head[:3] == ["Country", "Channel", "Cancelled"]
    assert phone == ["Germany", "Phone", "1,214", "few", "few", "few", "12", "few"]
    assert email == ["Germany", "E-mail", *["few"] * 6]
    assert len(list(page.root.every("rect"))) == 2
    assert "All numbers of this month are few." in browser.get("/console/statistics?month=2026-02").text
    assert browser.get("/console/statistics?month=2026-01").status == 404
    german = site.browser(Role.PRIVACY, "de").get("/console/statistics?month=2026-03")
    assert rows(german)[1][:4] == ["Deutschland", "Telefon", "1.214", "wenige"]

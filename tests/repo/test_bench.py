"""What `make bench` stores is what the service would have stored."""

from bench import stored
from bench.installed import installed
from refunds.access import COMMAND_LINE
from refunds.service import audit


def test_the_orders_that_growth_is_measured_with_pass_the_audit():
    with installed() as home, home.books() as books:
        stored.store(books, home.principal(books), range(60))
        with books.read(COMMAND_LINE) as work:
            assert audit.verify(work, books.anchors).records > 60

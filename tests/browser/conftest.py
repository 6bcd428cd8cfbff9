"""What the browser's tests share: one browser, one real server, and people who notice what goes wrong in front of them."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import browser
from tests.browser.people import Person, Watch
from tests.faults.harness import Client, Installation


class Service(NamedTuple):
    """A real server on records of its own, with the passwords of its first users as its first start showed them."""

    url: str
    passwords: dict[str, str]
    port: int
    billing: str

    def answers(self, method: str, path: str, body: object = None) -> dict:
        """What billing is answered."""
        with Client(self.port, self.billing) as client:
            return client.send(method, path, body).json

    def cancellations(self, order_id: str) -> list[dict]:
        """The cancellations of an order, as billing sees them."""
        return self.answers("GET", f"/v1/cancellations?order_id={order_id}")["items"]


@pytest.fixture(scope="package")
def running() -> Iterator[Browser]:
    """The browser; with its package's end it lets go of the event loop, too."""
    with browser() as running:
        yield running


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, as `flask serve` starts it for the first time."""
    installation = Installation(tmp_path_factory.mktemp("console"))
    with installation.serving() as server:
        shown = dict(re.findall(r"^    (\w+) +(?!rfd_)(\S+)$", installation.log.read_text(), re.MULTILINE))
        yield Service(f"http://localhost:{server.port}", shown, server.port, installation.tokens()["billing"])
    installation.require_calm()


_numbers = count(2001)


@pytest.fixture
def order(service: Service) -> Callable[..., str]:
    """Registers an order whose service was provided so many days ago, and tells its number."""

    def register(days_ago: int = 0) -> str:
        order_id = f"A-{next(_numbers)}"
        provided = datetime.now(UTC) - timedelta(days=days_ago)
        facts = {"customer_ref": f"customer of {order_id}", "service_provided_at": provided.isoformat()}
        return service.answers("PUT", f"/v1/orders/{order_id}", facts)["order_id"]

    return register


@pytest.fixture(scope="package")
def _cookies() -> dict[str, list]:
    """What keeps people signed in from one test to the next, until somebody signs them out."""
    return {}


@pytest.fixture
def visit(running: Browser, service: Service, _cookies: dict[str, list]) -> Iterator[Callable[..., Person]]:
    """Brings people, each with a browser of his own, signed in if they are named; nothing may go wrong for any of them."""
    with ExitStack() as leaving:

        def come(name: str | None = None, **how: object) -> Person:
            context = leaving.enter_context(running.new_context(base_url=service.url, **how))
            leaving.callback(Watch(context, service.url).require_calm)
            context.add_cookies(_cookies.get(name, []))
            person = Person(context)
            person.page.goto("/console/")
            if name is not None and person.is_stranger():
                person.signs_in(name, service.passwords[name])
                _cookies[name] = context.cookies()
            return person

        yield come

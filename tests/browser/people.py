"""A user at a browser: what they do with the keyboard, where that leads, and what must not happen meanwhile."""

import re
from collections.abc import Iterator

from playwright.sync_api import BrowserContext, Locator, Page, expect

expect.set_options(timeout=20_000)

DELIBERATE = "Failed to load resource: the server responded with a status of 4"
"""The browser's message about every response with a status of 4xx, which tests cause on purpose."""

MOVED_ON = "net::ERR_ABORTED"
"""The failure of requests that are aborted because the browser leaves the page."""

IS_SEEN = """element => {
    const shown = element.matches("input[type=radio]") ? element.nextElementSibling : element;
    const style = getComputedStyle(shown);
    return element.tabIndex === -1 || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
}"""
"""Whether the focus is visible; a heading with tabindex -1 only marks where reading begins."""

LOOK = f"""() => document.activeElement !== document.body &&
    {{place: document.activeElement.outerHTML.slice(0, 200), seen: ({IS_SEEN})(document.activeElement)}}"""
"""The focused element and whether its focus is visible, if any."""


class Watch:
    """Collects errors in a browser that should contact only one server."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._faults: list[str] = []
        note = self._faults.append
        context.on("console", lambda message: message.type in {"error", "warning"} and self._record(message.text))
        context.on("weberror", lambda error: note(f"a script failed: {error.error}"))
        context.on(
            "requestfailed", lambda request: request.failure == MOVED_ON or note(f"{request.url}: {request.failure}")
        )
        context.on("request", lambda request: request.url.startswith(f"{url}/") or note(f"elsewhere: {request.url}"))
        context.on("dialog", lambda dialog: (note(f"a dialog: {dialog.message}"), dialog.dismiss()))

    def _record(self, text: str) -> None:
        if not text.startswith(DELIBERATE):
            self._faults.append(text)

    def require_calm(self) -> None:
        """Assert that there was no error so far."""
        assert not self._faults, self._faults


class Person:
    """A user in front of a page."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.actions = 0

    def is_stranger(self) -> bool:
        """Whether the page asks them to sign in."""
        return self.page.locator("#password").is_visible()

    def signs_in(self, name: str, password: str) -> None:
        """Fill in the sign-in form and send it."""
        self.page.locator("#name").fill(name)
        self.page.locator("#password").fill(password)
        self.presses("Enter")
        expect(self.page.locator("header nav")).to_be_visible()

    def presses(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            self.page.keyboard.press(key)
        self.actions += len(keys)

    def pastes(self, text: str) -> None:
        """Paste a text."""
        self.page.keyboard.insert_text(text)
        self.actions += 1

    def clicks(self, place: Locator) -> None:
        """Click on an element."""
        place.click()
        self.actions += 1

    def picks(self, place: Locator, file: dict) -> None:
        """Pick a file for a field."""
        place.set_input_files(file)
        self.actions += 1

    def types(self, text: str) -> None:
        """Type a text key by key."""
        self.page.keyboard.type(text)
        self.actions += len(text)

    def is_at(self, place: Locator) -> None:
        """Assert that an element has the focus, and that it is visible."""
        expect(place).to_be_focused()
        assert place.evaluate(IS_SEEN), f"no focus seen: {place}"

    def tabs_through(self) -> Iterator[dict]:
        """Every element that Tab leads to, until the end of the page."""
        while place := self.page.evaluate(LOOK):
            yield place
            self.presses("Tab")

    def reads(self, heading: object) -> None:
        """Assert that the page has this heading, and that it has the focus."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self.is_at(self.page.get_by_role("heading", level=1))

    def button(self, name: str) -> Locator:
        """The button with this name, whichever way of asking it names."""
        return self.page.get_by_role(
            "button", name=re.compile(rf"^{re.escape(name)}( (by [-A-Za-z]+|per [-A-Za-z]+|telefonisch))?$")
        )

    def link(self, name: str) -> Locator:
        """The link with this name."""
        return self.page.get_by_role("link", name=name, exact=True)

    def field(self, label: str) -> Locator:
        """The field whose label contains a text."""
        return self.page.get_by_label(label)

    def opens(self) -> None:
        """Open the start page, whose field has the focus."""
        self.page.goto("/console/")
        expect(self.page.locator("#q")).to_be_focused()

    def opens_at(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(f"/console/{path}")
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def looks_up(self, order_id: str) -> None:
        """Check an order on the open start page."""
        self.field("Order number or reference").fill(order_id)
        self.presses("Enter")
        expect(self.page.locator(".verdict h1")).to_be_visible()

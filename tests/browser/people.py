"""Someone at a browser: what he does by its keys, where that gets him, and what must not happen meanwhile."""

from collections.abc import Iterator

from playwright.sync_api import BrowserContext, Locator, Page, expect

expect.set_options(timeout=20_000)

DELIBERATE = "Failed to load resource: the server responded with a status of 4"
"""What the browser says of every answer that is not what was asked for."""

MOVED_ON = "net::ERR_ABORTED"
"""Why a browser does not wait for the rest of a page that is left."""

IS_SEEN = """element => {
    const shown = element.matches("input[type=radio]") ? element.nextElementSibling : element;
    const style = getComputedStyle(shown);
    return element.tabIndex === -1 || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
}"""
"""Whether the focus is to be seen; a heading that is not operated only tells where reading begins."""

LOOK = f"""() => document.activeElement !== document.body &&
    {{place: document.activeElement.outerHTML.slice(0, 200), seen: ({IS_SEEN})(document.activeElement)}}"""
"""Where the focus is, if it is anywhere."""


class Watch:
    """Notices what goes wrong in a browser that has business with one server alone."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._faults: list[str] = []
        note = self._faults.append
        context.on("console", lambda said: said.type in {"error", "warning"} and self._hears(said.text))
        context.on("weberror", lambda error: note(f"a script failed: {error.error}"))
        context.on(
            "requestfailed", lambda request: request.failure == MOVED_ON or note(f"{request.url}: {request.failure}")
        )
        context.on("request", lambda request: request.url.startswith(f"{url}/") or note(f"elsewhere: {request.url}"))
        context.on("dialog", lambda dialog: (note(f"a dialog: {dialog.message}"), dialog.dismiss()))

    def _hears(self, text: str) -> None:
        if not text.startswith(DELIBERATE):
            self._faults.append(text)

    def require_calm(self) -> None:
        """Nothing went wrong so far."""
        assert not self._faults, self._faults


class Person:
    """Someone in front of a page."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.actions = 0

    def is_stranger(self) -> bool:
        """Whether he is asked to sign in."""
        return self.page.locator("#password").is_visible()

    def signs_in(self, name: str, password: str) -> None:
        """Fill in the form for signing in, and send it."""
        self.page.locator("#name").fill(name)
        self.page.locator("#password").fill(password)
        self.presses("Enter")
        expect(self.page.locator("header nav")).to_be_visible()

    def presses(self, *keys: str) -> None:
        """One key after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        self.actions += len(keys)

    def pastes(self, text: str) -> None:
        """A text, at once."""
        self.page.keyboard.insert_text(text)
        self.actions += 1

    def types(self, text: str) -> None:
        """A text, key by key."""
        self.page.keyboard.type(text)
        self.actions += len(text)

    def is_at(self, place: Locator) -> None:
        """The focus is there, and whoever looks sees it."""
        expect(place).to_be_focused()
        assert place.evaluate(IS_SEEN), f"no focus seen: {place}"

    def tabs_through(self) -> Iterator[dict]:
        """Every place that Tab leads to, to the end of the page."""
        while place := self.page.evaluate(LOOK):
            yield place
            self.presses("Tab")

    def reads(self, heading: object) -> None:
        """This is what the page is about, and where it is read from."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self.is_at(self.page.get_by_role("heading", level=1))

    def button(self, name: str) -> Locator:
        """The button that is called so."""
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        """The link that is called so."""
        return self.page.get_by_role("link", name=name, exact=True)

    def field(self, label: str) -> Locator:
        """The field under a label, to which more may be said."""
        return self.page.get_by_label(label)

    def opens(self) -> None:
        """The first page, ready to be typed into."""
        self.page.goto("/console/")
        expect(self.page.locator("#q")).to_be_focused()

    def looks_up(self, order_id: str) -> None:
        """From the first page, which is open, to the answer."""
        self.field("Order number or cancellation reference").fill(order_id)
        self.presses("Enter")
        expect(self.page.locator(".verdict h1")).to_be_visible()

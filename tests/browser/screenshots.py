"""`make screenshots`: every screen of the console as a picture, to be looked at."""

import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.chromium import browser
from tests.browser.screens import SCREENS, Screen
from tests.browser.story import Scene, scene

LOOKS = {
    "light": {"color_scheme": "light", "locale": "en-GB", "viewport": {"width": 1180, "height": 820}},
    "dark": {"color_scheme": "dark", "locale": "de-DE", "viewport": {"width": 1180, "height": 820}},
    "narrow": {"color_scheme": "light", "locale": "de-DE", "viewport": {"width": 320, "height": 640}},
    "print": {"color_scheme": "light", "locale": "de-DE", "viewport": {"width": 794, "height": 1123}},
}
"""How a screen is looked at; printed on a page of A4."""


def sign_in(page: Page, shown: Scene, user: str) -> None:
    """Sign in on the page that is shown."""
    page.locator("input[name=name]").fill(user)
    page.locator("input[type=password]").fill(shown.passwords[user])
    page.locator("main button.primary").click()
    page.wait_for_selector("header nav")


def looked_at(running: Browser, shown: Scene, look: str) -> dict[str | None, BrowserContext]:
    """A browser's context for everyone who looks."""
    contexts: dict[str | None, BrowserContext] = {}
    for user in {screen.user for screen in SCREENS}:
        contexts[user] = running.new_context(**LOOKS[look])
        if user is not None:
            page = contexts[user].new_page()
            page.goto(f"{shown.url}/console/")
            sign_in(page, shown, user)
            page.close()
    return contexts


def take(page: Page, shown: Scene, screen: Screen, look: str, to: Path) -> None:
    """Take a picture of a screen."""
    page.goto(shown.url + screen.path(shown))
    if look == "print":
        page.emulate_media(media="print")
    page.screenshot(path=to, full_page=look != "light" or screen.name not in {"answer", "check"})


def main(directory: Path, *names: str) -> None:
    """Take pictures of all screens, or of those that are named."""
    directory.mkdir(parents=True, exist_ok=True)
    with scene() as shown, browser() as running:
        for look in LOOKS:
            contexts = looked_at(running, shown, look)
            for screen in SCREENS:
                if not names or screen.name in names:
                    page = contexts[screen.user].new_page()
                    take(page, shown, screen, look, directory / f"{screen.name}-{look}.png")
                    page.close()
            for context in contexts.values():
                context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

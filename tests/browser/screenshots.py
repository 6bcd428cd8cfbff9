"""`make screenshots`: a picture of every screen of the console."""

import sys
from pathlib import Path

from tests.browser.chromium import browser
from tests.browser.screens import SCREENS, Looker
from tests.browser.story import scene

WIDE, NARROW, PAPER = ({"width": width, "height": height} for width, height in ((1100, 760), (320, 640), (794, 1123)))

LOOKS = {
    "en": {"light": (WIDE, {"color_scheme": "light", "media": "screen"})},
    "de": {
        "dark": (WIDE, {"color_scheme": "dark", "media": "screen"}),
        "narrow": (NARROW, {"color_scheme": "light", "media": "screen"}),
        "print": (PAPER, {"color_scheme": "light", "media": "print"}),
    },
}
"""The looks of a screen in each language; `print` is a page of A4."""


def main(directory: Path, *names: str) -> None:
    """Take pictures of all screens, or of those that are named."""
    directory.mkdir(parents=True, exist_ok=True)
    with scene() as shown, browser() as running:
        looker = Looker(running, shown)
        for language, looks in LOOKS.items():
            for screen in SCREENS:
                if names and screen.name not in names:
                    continue
                looker.page.emulate_media(media="screen")  # the print style has no forms to fill in
                page = looker.at(screen, language)
                for look, (size, media) in looks.items():
                    page.set_viewport_size(size)
                    page.emulate_media(**media)
                    page.screenshot(path=directory / f"{screen.name}-{look}.png", full_page=look != "light")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

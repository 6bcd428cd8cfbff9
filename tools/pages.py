"""What the site has besides the pages in `docs/`: pages from beside it, the API document, a list of the decisions."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "refunds/web/static"

PAGES = {"index.md": "README.md", "changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
ADDRESSES = {page: name for name, page in PAGES.items()}
ADDRESSES |= {"openapi.yaml": "api.md", "docs/decisions/": "decisions/index.md"}
FILES = {
    "api/openapi.yaml": ROOT / "openapi.yaml",
    "api/redoc.standalone.js": STATIC / "redoc/redoc.standalone.js",
    "api/LICENSE": STATIC / "redoc/LICENSE",
    "api/docs.css": STATIC / "docs.css",
}

API = """\
# The API document

* [Every operation, with examples](api/index.html)
* [openapi.yaml](api/openapi.yaml), for programs
"""

# As where the service shows the document: nothing is loaded from elsewhere, not even a logo.
REDOC = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; style-src 'self' \
'unsafe-inline'; img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'">
<title>API · Refund and cancellation policy</title>
<link rel="stylesheet" href="docs.css">
</head>
<body>
<div id="document"></div>
<script src="redoc.standalone.js"></script>
<script src="docs.js"></script>
</body>
</html>
"""
SCRIPT = 'Redoc.init("openapi.yaml", {}, document.getElementById("document"));\n'


def on_config(config):
    """List the decisions in the navigation of this configuration, in the order of their numbers; returns it."""
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"), key=lambda page: int(page.name.partition("-")[0]))
    for part in config.nav:
        if isinstance(part, dict) and "Decisions" in part:
            part["Decisions"] = ["decisions/index.md", *(f"decisions/{page.name}" for page in decisions)]
    return config


def on_files(files, config):
    """Add the pages and files of the site that are not in `docs/` to its files; returns them.

    `on_config` must have been called before.
    """
    made = {name: adapted((ROOT / page).read_text()) for name, page in PAGES.items()}
    made |= {"api.md": API, "api/index.html": REDOC, "api/docs.js": SCRIPT, "decisions/index.md": decisions(config)}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    for name, path in FILES.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(text, **_):
    """A page of `docs/`, with the links to what is beside `docs/` as they are on the site."""
    return re.sub(r"\]\(\.\./([^)#:/]+)", lambda link: f"]({ADDRESSES.get(link[1], link[0][2:])}", text)


def adapted(text):
    """A page from beside `docs/`, with the links as they are on the site."""
    return re.sub(r"\]\(([^)#:]+)", lambda link: f"]({ADDRESSES.get(link[1], link[1].removeprefix('docs/'))}", text)


def decisions(config):
    """The page with the titles of the decisions, each a link, in the order of the navigation."""
    (listed,) = (part["Decisions"] for part in config.nav if isinstance(part, dict) and "Decisions" in part)
    titles = [(page, (ROOT / "docs" / page).read_text().partition("\n")[0].lstrip("# ")) for page in listed[1:]]
    rows = [f"* [{title}]({page.removeprefix('decisions/')})" for page, title in titles]
    return "\n".join(["# Decisions", "", "Why it is built this way.", "", *rows, ""])

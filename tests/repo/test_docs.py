"""The documentation is complete, and its examples are correct."""

import json
import lzma
import re
import shlex
from collections import Counter
from dataclasses import fields

import pytest
from click.testing import CliRunner
from sqlite_utils.cli import cli as sqlite_utils

from app import app as service
from refunds.config import Settings
from refunds.domain.policy import PolicyVersion
from refunds.domain.terms import Terms
from refunds.schemas.policy import version_data
from tests.conftest import ROOT, token
from tests.storage.keep import KEPT
from tools.commands import reference

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STORIES = {ROOT / "docs/tutorial.md", ROOT / "docs/scaling.md", ROOT / "docs/product-teams.md"}
"""Pages that other tests run as a whole."""
NEWEST = max(KEPT.iterdir()) / "sqlite/records.xz"
"""The small installation that the examples query."""
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\]\(([^):]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples():
    """Each command of each page with the output on the page."""
    for page in (page for page in PAGES if page not in STORIES):
        for block in EXAMPLE.findall(page.read_text()):
            for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, printed = command_and_output(shown)
                words = shlex.split(re.sub(r"\\\n\s*", "", command))
                yield pytest.param(words, printed, id=f"{page.name}: {' '.join(words)[:60]}")


def command_and_output(shown):
    """A command, up to the first line that closes its quotes without a continuation, and its output."""
    lines = shown.splitlines(keepends=True)
    for end in range(1, len(lines) + 1):
        command = "".join(lines[:end])
        try:
            shlex.split(command)
        except ValueError:
            continue
        if not command.endswith("\\\n"):
            return command, "".join(lines[end:])
    raise AssertionError(shown)


def curl(words):
    """The response of the service to a curl command."""
    client, url, options, body = service.test_client(), "", {}, None
    rest = iter(words)
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            options[name] = re.sub(r"\$([A-Z]+)", lambda role: token(service, role[1].lower()), value)
        elif word == "-d":
            body = next(rest)
        elif not word.startswith("-"):
            url = word
    path = url.replace("http://localhost:8000", "")
    assert path.startswith("/"), url
    return client.open(path, method="POST" if body else "GET", data=body, headers=options)


def without_layout(text):
    """The lines of a text without the spaces for its layout."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]


@pytest.mark.parametrize(("words", "printed"), list(examples()))
def test_an_example_prints_what_the_page_shows(words, printed, tmp_path, monkeypatch):
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[0] == "curl":
        assert_answer(curl(words[1:]).get_data(as_text=True), printed)
    elif words[0] == ".venv/bin/sqlite-utils":
        (tmp_path / "refunds.db").write_bytes(lzma.decompress(NEWEST.read_bytes()))
        monkeypatch.chdir(tmp_path)
        assert without_layout(CliRunner().invoke(sqlite_utils, words[1:]).stdout) == without_layout(printed)
    else:
        assert words[0] == ".venv/bin/flask"
        result = service.test_cli_runner().invoke(args=words[1:])
        assert without_layout(result.stdout) == without_layout(printed)


def assert_answer(answer, printed):
    """Compare JSON; `…` stands for any text."""
    if "…" not in printed:
        assert json.loads(answer) == json.loads(printed)
        return
    pattern = ".*".join(re.escape(re.sub(r"\s", "", part)) for part in printed.split("…"))
    assert re.fullmatch(pattern, re.sub(r"\s", "", json.dumps(json.loads(answer), ensure_ascii=False)), re.DOTALL)


def test_the_readme_shows_a_call_and_its_answer():
    assert "curl" in (ROOT / "README.md").read_text()
    assert len(list(examples())) >= 6


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda field: field.metadata["name"])
def test_every_setting_is_documented(setting):
    rows = [row for row in (ROOT / "docs/operating.md").read_text().splitlines() if setting.metadata["name"] in row]
    assert any(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", row).endswith(f"| {setting.metadata['help']} |") for row in rows)


@pytest.mark.parametrize("term", fields(Terms), ids=lambda field: field.name)
def test_every_term_is_documented_with_its_default(term):
    default = version_data(PolicyVersion("x", 1, None, Terms()))["terms"][term.name]
    shown = f"`{json.dumps(default)}`" if default not in (None, {"de": None, "en": None}) else "–"
    meaning = term.metadata["help"]
    assert f"| `{term.name}` | {shown} | {meaning} |\n" in (ROOT / "docs/policies.md").read_text()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_in_the_navigation_of_the_site_and_in_the_readme(page):
    """When this fails, add the page to `tools/mkdocs.yml` and to the table in the README."""
    assert f"- {page.name}\n" in (ROOT / "tools/mkdocs.yml").read_text()
    assert f"](docs/{page.name})" in (ROOT / "README.md").read_text()


def test_the_reference_of_the_commands_is_up_to_date():
    """When this fails, run `make openapi`."""
    assert (ROOT / "docs/commands.md").read_text() == reference()


def test_the_glossary_has_each_term_once_and_at_most_25_of_our_own():
    """Bold are the nouns that a newcomer must learn: when this fails, find a common word instead."""
    terms = re.findall(r"^\| (.+?) \| ", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    named = Counter(term.strip("*") for term in terms if term not in ("term", "---"))
    assert max(named.values()) == 1
    assert 0 < sum(term.startswith("**") for term in terms) <= 25


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}"


def anchors(page):
    """The anchors of the headings of a page, as GitHub and the site make them; a repeated one gets a number."""
    counted = Counter()
    for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")
        yield f"{plain}-{counted[plain]}" if counted[plain] else plain
        counted[plain] += 1

"""`flask policy`: from a draft in a file to what holds, and what it would change."""

import importlib
import json
import os
import re
from itertools import count
from unittest import mock

import pytest

import app
from refunds.domain.permissions import COMMAND_LINE
from refunds.storage import events
from tests import records_in
from tests.api.conftest import IN_TIME, LATE, PROVIDED, Desk, now  # noqa: F401 - a fixture
from tests.conftest import client_of

CHANGE = "2026-05-01T00:00:00Z"
HOSTILE = "<script>alert(1)</script>"
_numbers = count(1)


@pytest.fixture(scope="module", autouse=True)
def entry(engine, tmp_path_factory):
    """The entry of the flask command, upon records of its own on each engine."""
    with mock.patch.dict(os.environ, records_in(tmp_path_factory.mktemp("policy"), engine)):
        importlib.reload(app)
    yield
    app.app.extensions["refunds.store"].close()


def run(*arguments):
    """What a command prints, what it complains of, and its exit code."""
    result = app.app.test_cli_runner().invoke(args=list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    complained = [line for line in result.stderr.splitlines() if not line.startswith("Made a master key")]
    return result.stdout, "\n".join(complained), result.exit_code


def succeed(*arguments):
    """What a command prints that has to succeed."""
    out, complained, code = run(*arguments)
    assert code == 0, complained
    return out


class Brand:
    """A policy of its own, drafted in files."""

    def __init__(self, directory):
        self.id, self.directory = f"brand-{next(_numbers)}", directory

    def file(self, version, effective_from=None, **terms):
        """A file with a version."""
        lines = {"policy": self.id, "version": version} | terms
        at = [] if effective_from is None else [f"effective_from = {effective_from}"]
        path = self.directory / f"{self.id}.{version}.{next(_numbers)}.toml"
        path.write_text("\n".join([f"{name} = {json.dumps(value)}" for name, value in lines.items()] + at), "utf-8")
        return path

    def publish(self, version, effective_from=CHANGE, **terms):
        """Publish a version."""
        return succeed("policy", "publish", self.file(version, effective_from, **terms))

    def begin(self, effective_from="2026-01-01T00:00:00Z", **terms):
        """Import the first version."""
        return succeed("policy", "import", self.file(1, effective_from, **terms))

    def versions(self):
        """The versions as the API shows them."""
        return desk().get(f"/v1/policies/{self.id}").json["versions"]

    def rows(self):
        """The lines in which the versions are listed, word by word."""
        return [re.split(r"  +", line.strip()) for line in succeed("policy", "show", self.id).splitlines()[1:]]


@pytest.fixture
def brand(tmp_path, now):  # noqa: F811
    """A policy of its own, of which there is nothing yet."""
    return Brand(tmp_path)


def desk(role="admin"):
    """A desk at the same records."""
    return Desk(client_of(app.app, role), None)


def position():
    """How long the journal is."""
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return events.head(uow.tx).position


def happened(brand):
    """What happened to a policy: types, actors and what is told of it."""
    types = "policy.published,policy.imported,policy.withdrawn,closure.added"
    found, after = [], 0
    while page := desk().get(f"/v1/events?types={types}&limit=200&after={after}").json["items"]:
        found += [
            (event["type"], event["actor"], event["data"]) for event in page if event["data"]["policy"] == brand.id
        ]
        after = page[-1]["position"]
    return found


def test_earlier_versions_are_imported_with_their_true_dates(brand):
    """In whatever order their files are named; what was judged by them then is judged so now."""
    second = brand.file(2, "2018-06-01T00:00:00+02:00", window_business_days=3)
    first, third = brand.file(1, "2015-01-01T00:00:00Z"), brand.file(3, "2024-01-01T00:00:00Z", window_business_days=4)
    out = succeed("policy", "import", third, first, second)
    assert [line.split()[1] for line in out.splitlines() if line.startswith("Version")] == ["1", "2", "3"]
    assert [(v["version"], v["effective_from"]) for v in brand.versions()] == [
        (1, "2015-01-01T00:00:00Z"),
        (2, "2018-05-31T22:00:00Z"),
        (3, "2024-01-01T00:00:00Z"),
    ]
    assert {v["registered_at"] for v in brand.versions()} == {IN_TIME}
    assert [(kind, actor, data["version"]) for kind, actor, data in happened(brand)] == [
        ("policy.imported", "command-line", number) for number in (1, 2, 3)
    ]
    for provided, version in (
        ("2017-03-01T10:00:00Z", 1),
        ("2018-06-01T00:00:00+02:00", 2),
        ("2025-03-03T10:00:00Z", 3),
    ):
        out = succeed("check", "--policy", brand.id, "--provided", provided, "--json")
        assert json.loads(out)["policy"]["version"] == version


def test_a_first_version_without_a_date_holds_from_the_beginning(brand):
    assert "the beginning" in succeed("policy", "import", brand.file(1))
    assert brand.versions()[0]["effective_from"] is None
    out = succeed("check", "--policy", brand.id, "--provided", "1995-03-01T10:00:00Z", "--json")
    assert json.loads(out)["policy"]["version"] == 1
    _, complained, code = run("policy", "import", brand.file(2, window_business_days=3))
    assert (code, "effective_from: is required" in complained) == (3, True)


@pytest.mark.parametrize("kept", ["a contact", "a cancellation"])
def test_nothing_is_imported_once_the_policy_has_judged(brand, kept):
    """But for what is there already."""
    brand.begin()
    agent = desk("agent")
    order_id = agent.register(policy=brand.id)
    earlier = brand.file(2, "2026-02-01T00:00:00Z", window_business_days=3)
    other = Brand(brand.directory)
    assert (agent.record(order_id) if kept == "a contact" else agent.issue(order_id)).status_code == 201
    before = position()
    _, complained, code = run("policy", "import", earlier)
    assert (code, f"{brand.id} has made decisions" in complained) == (3, True)
    assert len(brand.versions()) == 1
    brand.begin()
    assert position() == before
    other.begin()
    assert len(other.versions()) == 1, "it is another policy's"


def test_an_order_alone_is_no_judgement(brand):
    brand.begin()
    desk("agent").register(policy=brand.id)
    succeed("policy", "import", brand.file(2, "2026-02-01T00:00:00Z", window_business_days=3))
    assert len(brand.versions()) == 2


def test_of_files_that_do_not_fit_together_none_is_imported(brand):
    files = brand.file(1, "2015-01-01T00:00:00Z"), brand.file(3, "2018-01-01T00:00:00Z", window_business_days=3)
    out, complained, code = run("policy", "import", *files)
    assert (out, code, "version: is 3, but must be 2" in complained) == ("", 3, True)
    assert desk().get(f"/v1/policies/{brand.id}").status_code == 404


def test_the_same_import_again_changes_nothing(brand):
    brand.begin()
    before = position()
    assert "Version 1" in brand.begin()
    assert position() == before
    _, complained, code = run("policy", "import", brand.file(1, "2026-01-02T00:00:00Z"))
    assert (code, "registered with different content" in complained) == (3, True)


def test_a_version_is_published_and_the_difference_told(brand):
    brand.begin()
    before = position()
    file = brand.file(2, CHANGE, window_business_days=3)
    dry = succeed("policy", "publish", file, "--dry-run")
    assert position() == before
    told = succeed("policy", "publish", file)
    assert "Window: 3 business days (was: 2 business days)" in told
    assert "Window: 3 business days (was: 2 business days)" in dry
    assert dry != told
    assert happened(brand)[-1][:2] == ("policy.published", "command-line")
    before = position()
    again = succeed("policy", "publish", file, "--lang", "de")
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in again
    assert position() == before


def test_what_cannot_be_published_is_told_with_its_exit_code(brand):
    brand.begin()
    for changed, complaint in (
        ({"version": 2}, "changes nothing"),
        ({"version": 3, "window_business_days": 3}, "version: is 3, but must be 2"),
        ({"version": 1, "window_business_days": 3}, "registered with different content"),
        ({"version": 2, "window_business_days": 3, "effective_from": "2026-04-01T00:00:00Z"}, "effective_from: must"),
        ({"version": 2, "region": "Bavaria"}, "region: unknown country"),
        ({"version": 2, "vendor_name": "4111 1111 1111 1111"}, "payment card"),
        ({"version": 2, "windows": 3}, "windows: unknown term"),
    ):
        given = {"effective_from": CHANGE} | changed
        for dry in ((), ("--dry-run",)):
            out, complained, code = run("policy", "publish", brand.file(**given), *dry)
            assert (out, code, complaint in complained) == ("", 3, True), complained
    assert len(brand.versions()) == 1


def test_whoever_wants_a_version_to_hold_at_once_has_to_say_so(brand):
    brand.begin()
    dated, undated = brand.file(2, CHANGE, window_business_days=3), brand.file(2, window_business_days=3)
    for arguments in ((undated,), (undated, "--dry-run"), (dated, "--now")):
        out, complained, code = run("policy", "publish", *arguments)
        assert (out, code, "effective_from" in complained, "--now" in complained) == ("", 3, True, True)
    assert len(brand.versions()) == 1
    succeed("policy", "publish", undated, "--now")
    assert brand.versions()[1]["effective_from"] == IN_TIME
    before = position()
    succeed("policy", "publish", undated, "--now")
    assert position() == before


def test_a_file_that_is_not_there_is_told():
    assert run("policy", "publish", "nowhere.toml")[2] == 2


def test_what_is_written_of_a_version_is_that_version(brand):
    """To draft the next one from: whatever stands in its texts."""
    texts = {"de": 'Zwei "Tage"\n\'\'\' und """ \\ ende\\\n\n\tÄÖ ☎ \u202e', "en": "# no comment = [x]\n"}
    file = brand.file(1, "2026-01-01T00:00:00.123456Z", business_week="country", end_week=["mon"], vendor_name='A "B"')
    with file.open("a", encoding="utf-8") as toml:
        toml.write("\npage_published_at = 2025-12-31T23:59:59.123456Z\nclosures = [2026-12-24]\n")
        toml.write(f"[phone]\naccepted = false\npoints = ['+493012345678']\n[texts]\nde = {json.dumps(texts['de'])}\n")
        toml.write(f"en = {json.dumps(texts['en'])}\n")
    succeed("policy", "import", file)
    written = brand.directory / "written.toml"
    written.write_text(succeed("policy", "show", brand.id, 1), "utf-8")
    before = position()
    succeed("policy", "import", written)
    assert position() == before
    assert desk().get(f"/v1/policies/{brand.id}/versions/1").json["terms"]["texts"] == texts


def test_versions_are_listed_with_what_they_are(brand, now):  # noqa: F811
    brand.begin()
    brand.publish(2, "2026-05-01T00:00:00Z", window_business_days=3)
    brand.publish(3, "2026-06-01T00:00:00Z", window_business_days=4)
    brand.publish(4, "2026-07-01T00:00:00Z", window_business_days=5)
    succeed("policy", "withdraw", brand.id, 3)
    assert [row[-1] for row in brand.rows()] == ["in force", "to come", "withdrawn", "to come"]
    now.move_to("2026-05-01T00:00:00Z")
    assert [row[-1] for row in brand.rows()] == ["past", "in force", "withdrawn", "to come"]
    assert [row[:2] for row in brand.rows()] == [[brand.id, str(number)] for number in (1, 2, 3, 4)]
    assert brand.id in succeed("policy", "show")


def test_what_is_not_there_is_not_shown_nor_withdrawn(brand):
    brand.begin()
    for arguments in (
        ("show", "nobodys"),
        ("show", brand.id, 2),
        ("withdraw", brand.id, 2),
        ("withdraw", "nobodys", 1),
    ):
        out, complained, code = run("policy", *arguments)
        assert (out, code, bool(complained)) == ("", 3, True)
    out, complained, code = run("policy", "withdraw", brand.id, 1)
    assert (out, code, "in force" in complained) == ("", 3, True)


def test_a_withdrawal_again_changes_nothing(brand):
    brand.begin()
    brand.publish(2, window_business_days=3)
    succeed("policy", "withdraw", brand.id, 2)
    before = position()
    succeed("policy", "withdraw", brand.id, 2)
    assert position() == before
    _, complained, code = run("policy", "publish", brand.file(2, CHANGE, window_business_days=3))
    assert (code, "withdrawn" in complained) == (3, True)


def test_a_draft_is_compared_with_what_is_in_force(brand):
    brand.begin()
    brand.publish(2, window_business_days=5)
    file = brand.file(3, window_business_days=3, timely_by="sent")
    out = succeed("policy", "diff", file)
    assert "Window: 3 business days (was: 2 business days)" in out
    assert "In time by: the time of sending" in out
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in succeed("policy", "diff", file, "--lang", "de")
    assert "Window" not in succeed("policy", "diff", brand.file(3))


def test_a_date_is_entered_as_closed(brand):
    brand.begin()
    close = ("policy", "close", "2026-04-08", "--policy", brand.id)
    out = succeed(*close, "--reason-de", "Betriebsausflug", "--lang", "de")
    assert "Mittwoch, 8. April 2026" in out
    before = position()
    assert "8 April 2026. That was entered before" in succeed(*close)
    assert position() == before
    assert happened(brand)[-1] == ("closure.added", "command-line", {"policy": brand.id, "date": "2026-04-08"})
    (closure,) = desk().get(f"/v1/policies/{brand.id}/closures").json["items"]
    assert closure["reason"] == {"de": "Betriebsausflug", "en": None}
    decided = json.loads(succeed("check", "--policy", brand.id, "--provided", PROVIDED, "--json"))
    assert decided["window"]["last_day"] == "2026-04-09"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("2026-4-8",), "date: not a date"),
        (("2026-02-30",), "date: no such date"),
        (("2046-01-01",), "date: must not be more than five years away"),
        (("2026-05-05", "--policy", "nobodys"), "there is no such policy"),
        (("2026-05-05", "--reason-en", ""), "reason_en: must have 1 to 200 characters"),
        (("2026-05-05", "--reason-en", "4111 1111 1111 1111"), "reason_en: must not contain"),
    ],
)
def test_a_closure_that_does_not_fit_is_told(now, arguments, complaint):  # noqa: F811
    before = position()
    out, complained, code = run("policy", "close", *arguments)
    assert (out, code, complaint in complained) == ("", 3, True)
    assert position() == before


@pytest.fixture
def simulated(brand, now):  # noqa: F811
    """A policy whose orders were asked for in time and too late, and a draft of three days."""
    brand.begin()
    agent = desk("agent")
    in_time, late = (agent.register(f"{brand.id}-{when}", policy=brand.id) for when in ("early", "late"))
    agent.record(in_time, channel="email")
    now.move_to(LATE)
    agent.record(late)
    agent.register(policy=brand.id, service_provided_at=None)
    return brand, brand.file(2, CHANGE, window_business_days=3)


def test_a_simulation_says_the_same_at_the_command_line_and_over_http(simulated):
    brand, file = simulated
    body = {"version": 2, "effective_from": CHANGE, "terms": {"window_business_days": 3}}
    for lang in ("en", "de"):
        answered = desk("product").client.post(
            f"/v1/policies/{brand.id}/simulations", json=body, headers={"Accept-Language": lang}
        )
        found = json.loads(succeed("policy", "simulate", file, "--json", "--lang", lang))
        assert found == answered.json
    assert found["contacts"] == {"judged": 2, "to_eligible": 1, "to_refused": 0}
    assert found["orders"]["not_provided"] == 1


def test_a_simulation_is_summed_up_in_words(simulated):
    brand, file = simulated
    out = succeed("policy", "simulate", file)
    assert "Window: 3 business days (was: 2 business days)" in out
    assert "2 orders: 2 with a longer window, 0 with a shorter one; 1 not yet provided." in out
    assert "2 contacts: 1 newly refundable (1 orders), 0 no longer (0 orders)." in out
    assert f"{brand.id}-late:" in out
    assert f"{brand.id}-early" not in out
    german = succeed("policy", "simulate", file, "--lang", "de")
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in german
    assert "Kontakte: 2, davon neu erstattbar 1 (Bestellungen: 1), nicht mehr erstattbar 0 (Bestellungen: 0)." in german


def test_a_simulation_is_a_report_in_one_file(simulated):
    """Which asks for nothing from anywhere, and is the same however it is looked at."""
    brand, file = simulated
    for lang in ("en", "de"):
        html = brand.directory / f"report.{lang}.html"
        out = succeed("policy", "simulate", file, "--html", html, "--lang", lang)
        assert str(html) in out
        page = html.read_text("utf-8")
        assert f'<html lang="{lang}">' in page
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
        assert re.findall(r"(?i)<script|\bsrc=|\bhref=|@import|url\((?!#)|\bon\w+=", page) == []
        assert page.count("<svg") >= 1
        assert f"{brand.id}-late" in page
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in page


def test_what_is_hostile_is_text_in_a_report(brand, now):  # noqa: F811
    """A vendor's name and what orders may be called."""
    brand.begin(vendor_name=HOSTILE)
    agent = desk("agent")
    now.move_to(LATE)
    agent.record(agent.register(f"{brand.id}.script:alert-1", policy=brand.id))
    html = brand.directory / "report.html"
    draft = brand.file(
        2, CHANGE, window_business_days=3, vendor_name=f"{HOSTILE}&<b>", page_url="https://x.example/'><i>"
    )
    succeed("policy", "simulate", draft, "--html", html)
    page = html.read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&lt;b&gt;" in page
    assert [tag for tag in ("<script", "<i>", "<b>&") if tag in page] == []
    assert HOSTILE in succeed("policy", "simulate", draft)


def test_a_simulation_without_anything_to_judge_is_one_too(brand):
    brand.begin()
    html = brand.directory / "report.html"
    draft = brand.file(2, CHANGE, window_business_days=3)
    succeed("policy", "simulate", draft, "--html", html)
    assert "<figure" not in html.read_text("utf-8")
    assert succeed("policy", "simulate", draft)
    assert json.loads(succeed("policy", "simulate", draft, "--json"))["orders"]["judged"] == 0


def test_a_simulation_that_cannot_be_done_is_told(brand):
    _, complained, code = run("policy", "simulate", brand.file(1))
    assert (code, "there is no such policy" in complained) == (3, True)
    brand.begin()
    _, complained, code = run("policy", "simulate", brand.file(2), "--html", brand.directory / "no" / "report.html")
    assert (code, "No such file or directory" in complained) == (1, True)

"""`flask policy`: from a draft in a file to the version in force, and what it would change."""

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
    """The app of the flask command, with separate records on each engine."""
    with mock.patch.dict(os.environ, records_in(tmp_path_factory.mktemp("policy"), engine)):
        importlib.reload(app)
    assert run("init")[2] == 0
    yield
    app.app.extensions["refunds.store"].close()


def run(*arguments):
    """The output, the error output and the exit code of a command."""
    result = app.app.test_cli_runner().invoke(args=list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    errors = [line for line in result.stderr.splitlines() if not line.startswith("Made a master key")]
    return result.stdout, "\n".join(errors), result.exit_code


def succeed(*arguments):
    """The output of a command that must succeed."""
    out, errors, code = run(*arguments)
    assert code == 0, errors
    return out


class Brand:
    """A new policy, drafted in files."""

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
        """The cells of the list of versions."""
        return [re.split(r"  +", line.strip()) for line in succeed("policy", "show", self.id).splitlines()[1:]]


@pytest.fixture
def brand(tmp_path, now):  # noqa: F811
    """A new policy without versions."""
    return Brand(tmp_path)


def desk(role="admin"):
    """The desk of a role on the same records."""
    return Desk(client_of(app.app, role), None)


def position():
    """The length of the journal."""
    with app.app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return events.head(uow.tx).position


def happened(brand):
    """The events of a policy: types, actors and data."""
    types = "policy.published,policy.imported,policy.withdrawn,closure.added"
    found, page = [], desk().get(f"/v1/events?types={types}&limit=200").json
    while page["items"]:
        found += [(event["type"], event["actor"], event["data"]) for event in page["items"]]
        page = desk().get(f"/v1/events?types={types}&limit=200&after={page['next']}").json
    return [(name, actor, data) for name, actor, data in found if data["policy"] == brand.id]


def test_earlier_versions_are_imported_with_their_true_dates(brand):
    """In any order of the files; they judge what was provided while they were in force."""
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


def test_a_first_version_without_a_date_is_in_force_from_the_beginning(brand):
    assert "the beginning" in succeed("policy", "import", brand.file(1))
    assert brand.versions()[0]["effective_from"] is None
    out = succeed("check", "--policy", brand.id, "--provided", "1995-03-01T10:00:00Z", "--json")
    assert json.loads(out)["policy"]["version"] == 1
    _, errors, code = run("policy", "import", brand.file(2, window_business_days=3))
    assert (code, "effective_from: is required" in errors) == (3, True)


@pytest.mark.parametrize("kept", ["a contact", "a cancellation"])
def test_no_version_is_imported_once_the_policy_has_made_decisions(brand, kept):
    """Importing an existing version again is allowed."""
    brand.begin()
    agent = desk("agent")
    order_id = agent.register(policy=brand.id)
    earlier = brand.file(2, "2026-02-01T00:00:00Z", window_business_days=3)
    other = Brand(brand.directory)
    assert (agent.record(order_id) if kept == "a contact" else agent.issue(order_id)).status_code == 201
    before = position()
    _, errors, code = run("policy", "import", earlier)
    assert (code, f"{brand.id} has made decisions" in errors) == (3, True)
    assert len(brand.versions()) == 1
    brand.begin()
    assert position() == before
    other.begin()
    assert len(other.versions()) == 1, "another policy is not affected"


def test_a_version_can_be_imported_if_there_are_only_orders(brand):
    brand.begin()
    desk("agent").register(policy=brand.id)
    succeed("policy", "import", brand.file(2, "2026-02-01T00:00:00Z", window_business_days=3))
    assert len(brand.versions()) == 2


def test_no_file_is_imported_if_one_of_them_is_invalid(brand):
    files = brand.file(1, "2015-01-01T00:00:00Z"), brand.file(3, "2018-01-01T00:00:00Z", window_business_days=3)
    out, errors, code = run("policy", "import", *files)
    assert (out, code, "version: is 3, but must be 2" in errors) == ("", 3, True)
    assert desk().get(f"/v1/policies/{brand.id}").status_code == 404


def test_importing_the_same_version_again_changes_nothing(brand):
    brand.begin()
    before = position()
    assert "Version 1" in brand.begin()
    assert position() == before
    _, errors, code = run("policy", "import", brand.file(1, "2026-01-02T00:00:00Z"))
    assert (code, "registered with different content" in errors) == (3, True)


def test_a_version_is_published_and_the_difference_printed(brand):
    brand.begin()
    before = position()
    file = brand.file(2, CHANGE, window_business_days=3)
    dry = succeed("policy", "publish", file, "--dry-run")
    assert position() == before
    published = succeed("policy", "publish", file)
    assert "Window: 3 business days (was: 2 business days)" in published
    assert "Window: 3 business days (was: 2 business days)" in dry
    assert dry != published
    assert happened(brand)[-1][:2] == ("policy.published", "command-line")
    before = position()
    again = succeed("policy", "publish", file, "--lang", "de")
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in again
    assert position() == before


def test_a_clause_that_differs_from_its_terms_is_warned_of_by_every_command_that_reads_it(brand):
    clause = {"texts.de": "Sie können binnen drei Werktagen stornieren."}
    warning = 'Warning: The German clause says "drei Werktagen"; the term window_business_days says: 2 business days.'
    first = brand.file(1, "2026-01-01T00:00:00Z", **clause)
    second = brand.file(2, CHANGE, late_entry_days=4, **clause)
    for arguments in (("diff", first), ("import", first), ("diff", second), ("publish", second, "--dry-run")):
        assert warning in succeed("policy", *arguments).splitlines()[-1], arguments
    assert warning in succeed("policy", "publish", second)
    assert succeed("policy", "publish", second, "--lang", "de").splitlines()[-1] == (
        "  Warnung: Die deutsche Klausel sagt „drei Werktagen“; die Bestimmung window_business_days lautet: 2 Werktage."
    )
    right = brand.file(3, CHANGE, window_business_days=3, **clause)
    assert "Warning" not in succeed("policy", "diff", right)


def test_an_invalid_version_is_reported_with_its_exit_code(brand):
    brand.begin()
    for changed, message in (
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
            out, errors, code = run("policy", "publish", brand.file(**given), *dry)
            assert (out, code, message in errors) == ("", 3, True), errors
    assert len(brand.versions()) == 1


def test_a_version_takes_effect_at_once_only_with_the_option_now(brand):
    brand.begin()
    dated, undated = brand.file(2, CHANGE, window_business_days=3), brand.file(2, window_business_days=3)
    for arguments in ((undated,), (undated, "--dry-run"), (dated, "--now")):
        out, errors, code = run("policy", "publish", *arguments)
        assert (out, code, "effective_from" in errors, "--now" in errors) == ("", 3, True, True)
    assert len(brand.versions()) == 1
    succeed("policy", "publish", undated, "--now")
    assert brand.versions()[1]["effective_from"] == IN_TIME
    before = position()
    succeed("policy", "publish", undated, "--now")
    assert position() == before


def test_a_missing_file_is_reported():
    assert run("policy", "publish", "nowhere.toml")[2] == 2


def test_the_printed_file_of_a_version_can_be_imported_as_that_version(brand):
    """So that the next one can be drafted from it, whatever characters its texts contain."""
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


def test_versions_are_listed_with_their_states(brand, now):  # noqa: F811
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


def test_an_unknown_version_or_policy_is_reported(brand):
    brand.begin()
    for arguments in (
        ("show", "nobodys"),
        ("show", brand.id, 2),
        ("withdraw", brand.id, 2),
        ("withdraw", "nobodys", 1),
    ):
        out, errors, code = run("policy", *arguments)
        assert (out, code, bool(errors)) == ("", 3, True)
    out, errors, code = run("policy", "withdraw", brand.id, 1)
    assert (out, code, "in force" in errors) == ("", 3, True)


def test_repeating_a_withdrawal_changes_nothing(brand):
    brand.begin()
    brand.publish(2, window_business_days=3)
    succeed("policy", "withdraw", brand.id, 2)
    before = position()
    succeed("policy", "withdraw", brand.id, 2)
    assert position() == before
    _, errors, code = run("policy", "publish", brand.file(2, CHANGE, window_business_days=3))
    assert (code, "withdrawn" in errors) == (3, True)


def test_a_draft_is_compared_with_the_version_in_force(brand):
    brand.begin()
    brand.publish(2, window_business_days=5)
    file = brand.file(3, window_business_days=3, timely_by="sent")
    out = succeed("policy", "diff", file)
    assert "Window: 3 business days (was: 2 business days)" in out
    assert "In time by: the time of sending" in out
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in succeed("policy", "diff", file, "--lang", "de")
    assert "Window" not in succeed("policy", "diff", brand.file(3))


def test_a_closure_is_entered(brand):
    brand.begin()
    close = ("policy", "close", "2026-04-08", "--policy", brand.id)
    out = succeed(*close, "--reason-de", "Betriebsausflug", "--lang", "de")
    assert "Mittwoch, 8. April 2026" in out
    before = position()
    assert "8 April 2026. The closure was entered before" in succeed(*close)
    assert position() == before
    assert happened(brand)[-1] == ("closure.added", "command-line", {"policy": brand.id, "date": "2026-04-08"})
    (closure,) = desk().get(f"/v1/policies/{brand.id}/closures").json["items"]
    assert closure["reason"] == {"de": "Betriebsausflug", "en": None}
    decided = json.loads(succeed("check", "--policy", brand.id, "--provided", PROVIDED, "--json"))
    assert decided["window"]["last_day"] == "2026-04-09"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("2026-4-8",), "date: not a date"),
        (("2026-02-30",), "date: no such date"),
        (("2046-01-01",), "date: must not be more than five years away"),
        (("2026-05-05", "--policy", "nobodys"), "there is no such policy"),
        (("2026-05-05", "--reason-en", ""), "reason_en: must have 1 to 200 characters"),
        (("2026-05-05", "--reason-en", "4111 1111 1111 1111"), "reason_en: must not contain"),
    ],
)
def test_an_invalid_closure_is_reported(now, arguments, message):  # noqa: F811
    before = position()
    out, errors, code = run("policy", "close", *arguments)
    assert (out, code, message in errors) == ("", 3, True)
    assert position() == before


@pytest.fixture
def simulated(brand, now):  # noqa: F811
    """A policy with a request in time and a late one, and a draft with a window of three days."""
    brand.begin()
    agent = desk("agent")
    in_time, late = (agent.register(f"{brand.id}-{when}", policy=brand.id) for when in ("early", "late"))
    agent.record(in_time, channel="email")
    now.move_to(LATE)
    agent.record(late)
    agent.register(policy=brand.id, service_provided_at=None)
    return brand, brand.file(2, CHANGE, window_business_days=3)


def test_a_simulation_has_the_same_result_on_the_command_line_and_over_http(simulated):
    brand, file = simulated
    body = {"version": 2, "effective_from": CHANGE, "terms": {"window_business_days": 3}}
    for lang in ("en", "de"):
        response = desk("admin").client.post(
            f"/v1/policies/{brand.id}/simulations", json=body, headers={"Accept-Language": lang}
        )
        found = json.loads(succeed("policy", "simulate", file, "--json", "--lang", lang))
        assert found == response.json
    assert found["contacts"] == {"judged": 2, "to_eligible": 1, "to_refused": 0}
    assert found["orders"]["not_provided"] == 1


def test_a_simulation_is_summed_up_in_words(simulated):
    brand, file = simulated
    out = succeed("policy", "simulate", file)
    assert "Window: 3 business days (was: 2 business days)" in out
    assert "Orders with a window: 2; it would be longer for 2, shorter for 0. Orders without a window yet: 1." in out
    assert "Contacts: 2; 1 would become refundable (orders: 1), 0 would stop being refundable (orders: 0)." in out
    assert f"{brand.id}-late:" in out
    assert f"{brand.id}-early" not in out
    german = succeed("policy", "simulate", file, "--lang", "de")
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in german
    assert (
        "Anfragen: 2, davon neu stornierbar 1 (Bestellungen: 1), nicht mehr stornierbar 0 (Bestellungen: 0)." in german
    )


def test_the_report_of_a_simulation_is_a_self_contained_file(simulated):
    """It loads nothing and runs no scripts."""
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
    assert "Frist: 3 Werktage (bisher: 2 Werktage)" in page.replace("\u00a0", " ")


def test_hostile_text_is_escaped_in_a_report(brand, now):  # noqa: F811
    """In the name of a vendor and the ids of orders."""
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


def test_a_simulation_without_orders_succeeds(brand):
    brand.begin()
    html = brand.directory / "report.html"
    draft = brand.file(2, CHANGE, window_business_days=3)
    succeed("policy", "simulate", draft, "--html", html)
    assert "<figure" not in html.read_text("utf-8")
    assert succeed("policy", "simulate", draft)
    assert json.loads(succeed("policy", "simulate", draft, "--json"))["orders"]["judged"] == 0


def test_an_impossible_simulation_is_reported(brand):
    _, errors, code = run("policy", "simulate", brand.file(1))
    assert (code, "there is no such policy" in errors) == (3, True)
    brand.begin()
    _, errors, code = run("policy", "simulate", brand.file(2), "--html", brand.directory / "no" / "report.html")
    assert (code, "No such file or directory" in errors) == (1, True)

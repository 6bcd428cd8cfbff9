"""The command line: what users see, and how commands exit."""

import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import time_machine

import app
from refunds.domain.holidays_data import decreed_until
from tests import records_in
from tests.conftest import ONCE, ROOT, mostly_on, openapi

PROVIDED = "2026-04-02T16:20:00+02:00"
PACKAGED = ROOT / "refunds/policies/virtual-numbers.1.toml"
IN_TIME = ["--provided", PROVIDED, "--requested", "2026-04-08T21:05:00Z", "--region", "DE-BY"]


@pytest.fixture(scope="module", autouse=True)
def entry(engine, tmp_path_factory):
    """The app of the flask command, configured for each engine; returns its settings."""
    records = records_in(tmp_path_factory.mktemp("commands"), engine)
    with mock.patch.dict(os.environ, records):
        importlib.reload(app)
    return records


def run(*arguments):
    """The output, the error output and the exit code of a command."""
    result = app.app.test_cli_runner().invoke(args=list(arguments))
    return result.stdout, result.stderr, result.exit_code


@pytest.fixture(autouse=True)
def installation():
    """A new installation, as commands that only read make none."""
    run("init")


@ONCE
def test_a_check_shows_the_verdict_and_the_days():
    out, _, code = run("check", *IN_TIME, "--channel", "phone")
    assert code == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "Can be cancelled",
        "The order can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time).",
        "Today is the last day.",
        "○ Thursday, 2 April 2026 service provided, does not count",
        "· Friday, 3 April 2026 Good Friday",
        "· Saturday, 4 April 2026 weekend",
        "· Sunday, 5 April 2026 weekend",
        "· Monday, 6 April 2026 Easter Monday",
        "● Tuesday, 7 April 2026 business day 1 of 2",
        "● Wednesday, 8 April 2026 business day 2 of 2",
        "Statutory rights were not assessed.",
    ]


@ONCE
def test_a_refusal_is_not_an_error():
    out, _, code = run("check", "--provided", PROVIDED, "--requested", "2026-04-09T00:00:00+02:00", "--lang", "de")
    assert code == 0
    assert out.startswith("Abgelehnt\nDie vertragliche Frist endete am Mittwoch, 8. April 2026, um 24 Uhr")
    assert "Gesetzliche Rechte wurden nicht geprüft." in out


def test_json_output_is_the_same_as_over_http(client):
    out, _, _ = run("check", *IN_TIME, "--json", "--lang", "de")
    body = {"service_provided_at": PROVIDED, "requested_at": "2026-04-08T21:05:00Z", "region": "DE-BY"}
    assert json.loads(out) == client.post("/v1/eligibility-checks", json=body, headers={"Accept-Language": "de"}).json


@ONCE
def test_a_calendar_lists_the_holidays_of_a_year():
    out, _, code = run("calendar", "DE-BY", "--year", "2026", "--lang", "de")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "Freitag, 3. April 2026 Karfreitag" in lines
    assert "Samstag, 3. Oktober 2026 Tag der Deutschen Einheit (Wochenende)" in lines
    assert lines[-1] == "DE-BY 2026: 252 Werktage"


def printed(*arguments):
    """The lines that a command prints, without layout; it must succeed."""
    out, errors, code = run(*arguments)
    assert code == 0, errors
    return [" ".join(line.split()) for line in out.splitlines()]


@ONCE
@pytest.mark.parametrize(("at", "year"), [("2031-12-31T22:59:59Z", 2031), ("2031-12-31T23:00:00Z", 2032)])
def test_a_calendar_is_that_of_the_present_year_in_the_vendors_time_zone(at, year):
    with time_machine.travel(at, tick=False):
        assert printed("calendar", "DE-BY")[-1].startswith(f"DE-BY {year}: ")


@ONCE
def test_a_calendar_says_what_it_was_counted_by_and_what_may_change():
    assert printed("calendar", "NL-NH", "--year", "2026")[-2:] == [
        "Counted by: Netherlands (NL)",
        "The holiday data has nothing on the named region itself: its country was counted.",
    ]
    assert printed("calendar", "ES-B", "--year", "2026")[-1].startswith("Counted by: Catal")
    assert printed("calendar", "US", "--year", "2026")[-1].startswith("Only nationwide holidays were counted")
    assert not any("Diwali" in line for line in printed("calendar", "US", "--year", "2026")), (
        "a holiday of Pennsylvania"
    )
    beyond = str(decreed_until("CN") + 1)
    assert printed("calendar", "CN", "--year", beyond, "--lang", "de")[-1].startswith(
        "Freie Tage und Arbeitswochenenden dieses Zeitraums sind noch nicht alle amtlich festgelegt"
    )
    assert "decreed" not in printed("calendar", "CN", "--year", str(decreed_until("CN") - 1))[-1]


@ONCE
@pytest.mark.parametrize("country", ["CN", "HU", "LV", "BY", "UZ"])
def test_a_check_beyond_the_last_decree_says_that_its_end_may_move(country):
    for year, provisional in ((decreed_until(country), False), (decreed_until(country) + 1, True)):
        asked = ["--provided", f"{year}-06-01T09:00:00Z", "--requested", f"{year}-06-02T09:00:00Z", "--region", country]
        said = any("not decreed yet: its end may move" in line for line in printed("check", *asked))
        assert said is provisional, year


@ONCE
def test_the_regions_are_listed_with_what_they_cover_and_from_when_they_are_provisional():
    heading, *rows = printed("calendar", "regions")
    assert heading == "Region Name Covered Provisional from Parts that differ"
    assert len(rows) > 850
    assert f"CN China 1950-2100 {decreed_until('CN')}-12-29" in rows
    assert "AT-9 Wien 1934-2100" in rows
    heading, austria, *_ = printed("calendar", "regions", "AT", "--lang", "de")
    assert heading == "Region Name Abgedeckt Vorläufig ab Abweichende Teile"
    assert austria == "AT Österreich 1934-2100"
    assert printed("calendar", "regions", "NL-NH")[1:] == ["NL Netherlands 1966-2100"]
    (britain,) = (row for row in rows if row.startswith("GB "))
    assert britain.endswith("GB-ENG, GB-NIR, GB-SCT, GB-WLS")


@ONCE
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check"], 2, "Missing option '--provided'"),
        (["check", "--provided", PROVIDED, "--channel", "fax"], 2, "'fax' is not one of 'phone', 'email'"),
        (["check", "--provided", "2026-04-02"], 3, "provided: not an RFC 3339 date-time"),
        (["check", "--provided", PROVIDED, "--requested", "now"], 3, "requested: not an RFC 3339 date-time"),
        (["check", "--provided", PROVIDED, "--region", "Bavaria"], 3, "region: unknown country"),
        (["check", "--provided", PROVIDED, "--policy", "nobodys"], 3, "policy: there is no such policy"),
        (["check", "--provided", "1980-01-01T00:00:00Z"], 3, "covers 1991-01-01 to 2100-12-31"),
        (["calendar", "XX"], 3, "region: unknown country"),
        (["calendar", "NL-Zuid"], 3, "region: unknown subdivision of NL: use NL or its code of ISO 3166-2"),
        (["calendar", "DE_BY"], 3, "region: unknown country: use the two capital letters of ISO 3166-1"),
        (["calendar", "DE-Bayern"], 3, "region: unknown subdivision of DE: use DE, one of DE-("),
        (["calendar", "regions", "XX"], 3, "country: unknown country"),
        (
            ["check", "--provided", PROVIDED, "--region", "FR-Zone A"],
            3,
            "region: unknown subdivision of FR: use FR, one of",
        ),
        (
            ["check", "--provided", PROVIDED, "--region", "NO-02"],
            3,
            "region: unknown subdivision of NO: use NO, one of",
        ),
        (["check", "--provided", PROVIDED, "--region", "D" * 200], 3, "region: unknown country"),
        (["calendar", "DE", "--year", "1950"], 3, "covers 1991-01-01 to 2100-12-31"),
        (["calendar", "DE", "--year", "0"], 2, "not in the range"),
    ],
)
def test_invalid_input_is_reported_with_its_exit_code(arguments, code, message):
    out, errors, exit_code = run(*arguments)
    assert (out, exit_code) == ("", code)
    assert message in errors
    assert "Traceback" not in errors


BRAND = 'policy = "brand"\nversion = 1\n'


@ONCE
@pytest.mark.parametrize(
    ("file", "messages"),
    [
        (f"{BRAND}window_days = 2", ["window_days: unknown term: the terms are window_business_days"]),
        (f"{BRAND}window_business_days = 0", ["window_business_days: must be from 1 to 366"]),
        (f"{BRAND}window_business_days = 100_000", ["window_business_days: must be from 1 to 366"]),
        (f'{BRAND}closures = ["soon"]', ["closures/0: not a date: write it as 2026-12-24"]),
        (f"{BRAND}effective_from = 2026-01-01T00:00:00", ["effective_from: needs its offset"]),
        (f'{BRAND}time_zone = "Mars/Olympus"', ["time_zone: unknown time zone"]),
        (f'{BRAND}region = "Germany"', ["region: unknown country: use the two capital letters"]),
        (f'{BRAND}region = "FR-Zone A"', ["region: unknown subdivision of FR: use FR, one of FR-(57|6AE|"]),
        (f'{BRAND}region = "NL-Zuid"', ["region: unknown subdivision of NL: use NL or its code of ISO 3166-2"]),
        (f"{BRAND}version", ["brand.toml: at the end of the text: not TOML: each line is like"]),
        (f"{BRAND}version 1", ["brand.toml: line 3, column 9: not TOML: each line is like"]),
        (f"{BRAND}version = 1\nregion = 'DE'", ["brand.toml: line 3, column 12: not TOML: each line is like"]),
        (f"{BRAND}closures = {'[' * 20_000}", ["not a policy: nested too deeply"]),
        (f"{BRAND}effective_from = 0001-01-01T00:00:00+23:59", ["effective_from: no such instant"]),
        (
            f"{BRAND}[phone]\npoints = ['030 123456']",
            ["phone/points/0: must be a telephone number with its country code"],
        ),
        ("\udcff", ["is not UTF-8 text"]),
        ("x = 1", ["policy: ", "version: ", "x: unknown term"]),
        ('policy = "virtual-numbers"\nversion = 2', ["effective_from: is required"]),
        (
            'policy = "virtual-numbers"\nversion = 1',
            ["Version 1 of virtual-numbers is registered with different content"],
        ),
    ],
)
def test_an_invalid_policy_file_is_not_imported(tmp_path, file, messages):
    """All errors are reported together, each with its place and the fix."""
    (tmp_path / "brand.toml").write_text(file, errors="surrogateescape")
    out, errors, exit_code = run("policy", "import", str(tmp_path / "brand.toml"))
    assert (out, exit_code) == ("", 3)
    lines = [line for line in errors.splitlines() if not line.startswith("Made a master key")]
    assert len(lines) == len(messages), errors
    assert all(message in line for message, line in zip(messages, lines, strict=True)), errors


@ONCE
@pytest.mark.parametrize("command", ["diff", "publish", "import", "simulate"])
def test_a_file_that_is_not_toml_is_said_to_be_so_in_german_with_its_place(tmp_path, command):
    (tmp_path / "brand.toml").write_text(f"{BRAND}version 1")
    _, errors, code = run("policy", command, str(tmp_path / "brand.toml"), "--lang", "de")
    assert code == 3
    assert errors.splitlines()[-1] == (
        "brand.toml: Zeile 3, Spalte 9: kein TOML: Jede Zeile sieht aus wie window_business_days = 2, kein Name kommt "
        "zweimal vor, und Texte stehen in Anführungszeichen"
    )


@ONCE
def test_the_openapi_document_in_the_repository_is_up_to_date(tmp_path):
    """When this fails, run `make openapi`."""
    out, _, _ = run("openapi")
    assert out == (ROOT / "openapi.yaml").read_text()
    assert openapi()["openapi"].startswith("3.1")
    run("openapi", "--output", str(tmp_path / "openapi.yaml"))
    assert (tmp_path / "openapi.yaml").read_text() == out


def test_tokens_are_created_listed_and_revoked():
    text = run("tokens", "create", "--role", "billing", "--client", "billing [/of] the north", "--days", "30")[
        0
    ].strip()
    token_id = text.split("_")[1]
    out, _, code = run("tokens", "list")
    (row,) = [line for line in out.splitlines() if token_id in line]
    assert code == 0
    assert "billing [/of] the north" in row
    assert row.endswith("active")
    assert text.split("_")[2] not in out
    assert run("tokens", "revoke", token_id)[2] == 0
    assert run("tokens", "revoke", token_id)[2] == 0
    assert next(line for line in run("tokens", "list")[0].splitlines() if token_id in line).endswith("revoked")


@ONCE
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["revoke", "nobodys1"], 3, "there is no token of this id"),
        (["create", "--role", "king"], 2, "'king' is not one of"),
        (["create", "--role", "agent", "--client", ""], 3, "must be 1 to 100 visible characters"),
        (["create", "--role", "agent", "--client", "a\nb"], 3, "must be 1 to 100 visible characters"),
        (["create", "--role", "agent", "--client", "x" * 101], 3, "must be 1 to 100 visible characters"),
        (["create", "--role", "agent", "--days", "0"], 2, "0 is not in the range"),
        (["create", "--role", "agent", "--client", "supervisor of the south"], 3, "has the role supervisor"),
        (["create", "--role", "supervisor", "--client", "supervisor of the south"], 3, "revoke one first"),
    ],
)
def test_an_invalid_command_about_tokens_is_reported(arguments, code, message):
    while not run("tokens", "create", "--role", "supervisor", "--client", "supervisor of the south")[2]:
        pass
    _, err, exit_code = run("tokens", *arguments)
    assert (exit_code, message in err) == (code, True), err


@pytest.mark.proof
@mostly_on("sqlite")
@pytest.mark.parametrize("words", [["calendar", "DE-BY", "--year", "2026"], ["doctor"], ["tokens", "list"]])
def test_a_command_whose_output_nobody_reads_any_more_ends_without_a_word(entry, words):
    """As before `| head`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "flask", *words]
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | entry, stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"")


@ONCE
@pytest.mark.parametrize(
    "words", [["tokens", "list"], ["export", "orders", "--from", "2026-04-01", "--to", "2026-04-02"]]
)
def test_a_command_whose_output_is_on_a_full_disk_says_so_and_ends_with_1(entry, words):
    """The device is one that is always full. What is buffered could be lost at the end only."""
    command, environment = [sys.executable, "-m", "flask", *words], os.environ | entry | {"PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("wb") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "output: No space left on device\n")


@ONCE
@pytest.mark.parametrize("words", [["openapi", "--output"], ["policy", "simulate", str(PACKAGED), "--html"]])
def test_a_file_that_cannot_be_replaced_stays_as_it_is(entry, tmp_path, words):
    """A limit on the size of files simulates the full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    (file := tmp_path / "file").write_text("old")
    command = [sys.executable, "-m", "flask", *words, str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | entry, capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert (done.returncode, done.stderr) == (1, f"{file}: File too large\n")
    assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(file, "old")]


@ONCE
def test_an_interrupt_while_a_command_is_loaded_ends_it_without_a_traceback(entry):
    """Such as right after a misspelt word. Python lists each module when it is loaded, and waits in a small pipe."""
    command, pipe = [sys.executable, "-X", "importtime", "app.py", "tokens", "list"], subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | entry, stdout=pipe, stderr=pipe, pipesize=4096, text=True
    ) as process:
        assert any("refunds.errors" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT


def test_the_audit_reports_what_is_sound():
    out, _, code = run("audit", "verify")
    assert code == 0
    assert re.fullmatch(r"Sound: \d+ events, \d+ records in \S+\.\nNot yet in a checkpoint: \d+ events\.\n", out)


@ONCE
def test_a_command_imports_no_module_that_it_does_not_need():
    """Each of these modules would make every command 50 to 100 ms slower."""
    command = [sys.executable, "-c", "import app, sys; print(*sys.modules)"]
    imported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"argon2", "granian", "numpy", "psycopg", "psycopg_pool", "rich", "structlog"} & set(imported)

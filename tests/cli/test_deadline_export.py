"""`flask deadlines export`: the table of deadlines in a file, whole or not at all."""

import csv
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pycountry
import pytest
from pyarrow import parquet

from refunds.domain.regions import subdivisions
from refunds.presentation import deadline_files
from refunds.service import deadline_table
from refunds.service.deadline_table import Row, region_number
from tests import records_in
from tests.cli.test_proof import Place, brand, now, shared  # noqa: F401 - fixtures
from tests.conftest import ROOT
from tests.faults.harness import FLASK, until

EASTER = ("--from", "2026-04-02", "--to", "2026-04-03", "--regions", "DE-BY")


@pytest.fixture(scope="module")
def engine():
    """The records of one engine are enough: the table is made of policies alone."""
    return "sqlite"


def csv_rows(file):
    """The rows of a CSV file."""
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.fixture
def made(shared, tmp_path):  # noqa: F811
    """A function that exports as CSV, and returns the rows."""

    def export(*arguments):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        shared.succeed("deadlines", "export", "--format", "csv", "--output", file, *arguments)
        return csv_rows(file)

    return export


def test_a_row_has_the_window_of_a_service_date_in_a_region(made):
    rows = made(*EASTER)
    assert [(row["region"], row["service_day"], row["last_day"]) for row in rows] == [
        ("", "2026-04-02", "2026-04-08"),
        ("", "2026-04-03", "2026-04-08"),
        ("DE-BY", "2026-04-02", "2026-04-08"),
        ("DE-BY", "2026-04-03", "2026-04-08"),
    ]
    assert rows[2] | {"fingerprint": None} == {
        "key": str(region_number("DE-BY") * 100_000 + (date(2026, 4, 2) - date(1970, 1, 1)).days),
        "policy": "virtual-numbers",
        "version": "1",
        "region": "DE-BY",
        "service_day": "2026-04-02",
        "provided_from": "2026-04-01T22:00:00Z",
        "provided_until": "2026-04-02T22:00:00Z",
        "ordered_from": "",
        "ordered_until": "",
        "last_day": "2026-04-08",
        "deadline": "2026-04-08T22:00:00Z",
        "closures": "",
        "notices": "",
        "holidays_version": "0.109",
        "tzdata_version": "2026f",
        "fingerprint": None,
    }
    assert {row["notices"] for row in rows[:2]} == {"nationwide_holidays_only"}, "no part of the country is known"


def test_parquet_has_the_same_rows_and_the_same_bytes_each_time(shared, tmp_path, monkeypatch):  # noqa: F811
    """Whatever the size of its groups of rows is."""
    files = [tmp_path / name for name in ("one.csv", "other.csv", "one.parquet", "other.parquet", "small.parquet")]
    for file in files:
        monkeypatch.setattr(deadline_files, "_ROWS", 1 if file.stem == "small" else 2**16)
        form = file.suffix[1:]
        asked = ("--from", "2026-01-01", "--to", "2026-12-31", "--regions", "DE,FR,US-CA", "--format", form)
        shared.succeed("deadlines", "export", *asked, "--output", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()
    assert parquet.ParquetFile(files[4]).num_row_groups == 4
    for file in files[2:]:
        instants = [kind for kind in map(str, parquet.read_schema(file).types) if kind.startswith("timestamp")]
        assert instants == ["timestamp[us, tz=UTC]"] * 5
        read = [
            {name: "" if value is None else shown(value) for name, value in row.items()}
            for row in parquet.read_table(file).to_pylist()
        ]
        assert read == csv_rows(files[0])


def shown(value):
    """A value as CSV has it."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(value)


def test_a_version_that_begins_during_a_day_has_a_row_of_its_own_with_the_same_key(brand, made):  # noqa: F811
    name = brand(("", ""), ("2026-04-15T14:30:00+02:00", "window_business_days = 3"))
    rows = made("--policy", name, "--from", "2026-04-14", "--to", "2026-04-16", "--regions", "DE")
    found = [(row["version"], row["service_day"], row["provided_from"], row["last_day"]) for row in rows[4:]]
    assert found == [
        ("1", "2026-04-14", "2026-04-13T22:00:00Z", "2026-04-16"),
        ("1", "2026-04-15", "2026-04-14T22:00:00Z", "2026-04-17"),
        ("2", "2026-04-15", "2026-04-15T12:30:00Z", "2026-04-20"),
        ("2", "2026-04-16", "2026-04-15T22:00:00Z", "2026-04-21"),
    ]
    assert rows[5]["key"] == rows[6]["key"]
    assert rows[5]["provided_until"] == "2026-04-15T12:30:00Z"


def test_if_the_time_of_the_order_decides_each_version_has_a_row_with_its_orders(brand, made):  # noqa: F811
    ordered = 'judged_by = "ordered"\nwindow_business_days = '
    name = brand(("", f"{ordered}2"), ("2026-04-15T00:00:00+02:00", f"{ordered}3"))
    rows = made("--policy", name, "--from", "2026-04-20", "--to", "2026-04-20", "--regions", "DE")
    found = [(row["version"], row["ordered_from"], row["ordered_until"], row["last_day"]) for row in rows[2:]]
    assert found == [
        ("1", "", "2026-04-14T22:00:00Z", "2026-04-22"),
        ("2", "2026-04-14T22:00:00Z", "", "2026-04-23"),
    ]


def test_a_row_names_the_closures_that_count_in_its_window(brand, made, shared, now):  # noqa: F811
    name = brand(("", "closures = [2026-04-07, 2026-04-11]"))
    now.move_to("2026-04-08T09:00:00Z")
    shared.succeed("policy", "close", "2026-04-09", "--policy", name)
    rows = made("--policy", name, "--from", "2026-04-01", "--to", "2026-04-08", "--regions", "DE")[8:]
    closures = {row["service_day"][-2:]: (row["closures"], row["last_day"][-2:]) for row in rows}
    assert closures["01"] == ("2026-04-07", "08"), "the other one was entered, but not in it"
    assert closures["02"] == ("2026-04-07 2026-04-09", "10")
    assert closures["08"] == ("2026-04-09", "13"), "11 April is a Saturday anyway"


def test_the_fingerprint_of_a_region_changes_with_any_of_its_windows(brand, made):  # noqa: F811
    """18 November is a holiday only in Saxony."""
    asked = ("--from", "2026-11-02", "--to", "2026-11-30", "--regions", "DE-BY,DE-SN", "--policy")
    plain, closed = (made(*asked, brand(("", terms))) for terms in ("", "closures = [2026-11-30]"))
    prints = {row["region"]: row["fingerprint"] for row in plain}
    assert prints["DE-BY"] == prints[""] != prints["DE-SN"]
    changed = {row["region"]: row["fingerprint"] for row in closed}
    assert not set(prints.values()) & set(changed.values())


def test_by_default_all_regions_that_the_data_covers_are_there_and_the_others_are_named(shared, tmp_path, monkeypatch):  # noqa: F811
    """Here of three countries."""
    assert {"", "DE", "DE-BY", "LK", "US-CA"} <= {"", *deadline_table._all_regions()}
    monkeypatch.setattr(deadline_table, "countries", lambda: {"LU", "DE", "LK"})
    file = tmp_path / "all.csv"
    asked = ("--from", "2026-12-30", "--to", "2026-12-31", "--format", "csv")
    out, errors, code = shared.run("deadlines", "export", *asked, "--output", file)
    assert (out, code) == ("", 0)
    assert errors.splitlines()[-1] == "Left out, as the holiday data does not cover all of it: LK"
    assert [row["region"] for row in csv_rows(file)][::2] == [
        "",
        "DE",
        *(f"DE-{part}" for part in subdivisions("DE")),
        "LU",
    ]


def test_progress_is_on_standard_error(shared, tmp_path):  # noqa: F811
    out, errors, _ = shared.run("deadlines", "export", *EASTER, "--format", "csv", "--output", tmp_path / "a")
    assert (out, "2/2" in errors) == ("", True)


BAD = [
    (("--from", "2026-04-03", "--to", "2026-04-02"), "to: must not be before from", 3),
    (("--from", "2026-02-30", "--to", "2026-04-02"), "from: no such date: check the day and the month", 3),
    (("--from", "2101-01-01", "--to", "2101-01-02"), "The holiday data of DE covers 1991-01-01 to 2100-12-31; this calculation goes beyond it.", 3),
    (("--from", "2100-12-01", "--to", "2100-12-31"), "The holiday data of DE covers 1991-01-01 to 2100-12-31; this calculation goes beyond it.", 3),
    ((*EASTER[:4], "--regions", "DE,LK", "--to", "2027-01-01"), "The holiday data of LK covers 2003-01-01 to 2026-12-31; this calculation goes beyond it.", 3),
    ((*EASTER[:4], "--regions", "DE,XX"), "regions/XX: unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY", 3),
    ((*EASTER[:4], "--regions", "DE,"), "regions: unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY", 3),
    ((*EASTER, "--policy", "nobody"), "there is no such policy; known: ", 3),
    ((*EASTER, "--format", "xlsx"), "Invalid value for '--format'", 2),
    (EASTER[2:], "Missing option '--from'", 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "code"), BAD, ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else ""
)
def test_what_cannot_be_exported_is_refused_and_leaves_no_file(shared, tmp_path, arguments, error, code):  # noqa: F811
    for form in ("csv", "parquet"):
        asked = arguments if "--format" in arguments else (*arguments, "--format", form)
        out, errors, ended = shared.run("deadlines", "export", "--output", tmp_path / "a", *asked)
        assert (out, ended) == ("", code)
        assert error in errors
    assert not list(tmp_path.iterdir())


def test_a_policy_without_a_version_in_force_is_refused(brand, shared, tmp_path):  # noqa: F811
    """At the first date; the error says when the first version takes effect."""
    name = brand(("2026-04-03T00:00:00+02:00", ""))
    asked = ("deadlines", "export", "--policy", name, "--regions", "DE", "--to", "2026-04-05", "--format", "csv")
    _, errors, code = shared.run(*asked, "--from", "2026-04-02", "--output", tmp_path / "a")
    assert (code, "the first takes effect at 2026-04-02T22:00:00Z" in errors) == (3, True)
    assert not list(tmp_path.iterdir())
    shared.succeed(*asked, "--from", "2026-04-03", "--output", tmp_path / "a")


def test_a_file_that_exists_is_kept(shared, tmp_path):  # noqa: F811
    """Also a directory, and a link that leads nowhere."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    for path in before:
        asked = ("deadlines", "export", *EASTER, "--format", "csv", "--output", path)
        assert shared.run(*asked) == ("", "output: exists already: name a new file", 3)
    assert (sorted(tmp_path.iterdir()), (tmp_path / "file").read_text()) == (before, "mine")


def test_a_directory_that_is_not_there_is_named(shared, tmp_path):  # noqa: F811
    file = tmp_path / "nowhere" / "a"
    _, errors, code = shared.run("deadlines", "export", *EASTER, "--format", "csv", "--output", file)
    assert (errors.splitlines()[-1], code) == (f"{file}: No such file or directory", 1)


def test_without_pyarrow_the_error_says_how_to_get_it(shared, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    asked = ("deadlines", "export", *EASTER, "--output", tmp_path / "a")
    _, errors, code = shared.run(*asked, "--format", "parquet")
    assert (code, "tools/install.py requirements-parquet.txt" in errors) == (4, True)
    assert not list(tmp_path.iterdir())
    assert (ROOT / "requirements-parquet.txt").exists()
    shared.succeed(*asked, "--format", "csv")


def test_no_command_but_this_one_loads_pyarrow(tmp_path):
    """Only for Parquet."""
    code = "import sys, refunds.web, refunds.cli.deadlines; sys.exit('pyarrow' in sys.modules)"
    environment = os.environ | records_in(tmp_path)
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False).returncode == 0


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The environment of an installation for other processes."""
    environment = os.environ | records_in(tmp_path_factory.mktemp("exports"))
    subprocess.run([FLASK, "init"], cwd=ROOT, env=environment, check=True, capture_output=True)
    return environment


def exporting(environment, file, form, **more):
    """A process that exports all regions of forty years."""
    asked = ("deadlines", "export", "--from", "2030-01-01", "--to", "2069-12-31", "--format", form, "--output", file)
    return subprocess.Popen([FLASK, *asked], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_full_disk_ends_it_and_leaves_no_file(records, tmp_path, form):
    """A limit on the size of the files that the process writes simulates the full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    file = tmp_path / "a"
    process = exporting(records, file, form, preexec_fn=limit)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors.splitlines()[-1]) == (1, f"{file}: File too large")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "how"), [("csv", signal.SIGKILL), ("parquet", signal.SIGKILL), ("csv", signal.SIGINT)]
)
def test_one_that_is_ended_leaves_nothing_under_the_name(records, tmp_path, form, how):
    """Killed, it leaves the part beside it, which the next one does not need; interrupted, not even that."""
    file = tmp_path / "a"
    process = exporting(records, file, form)
    until(lambda: any(part.stat().st_size for part in Path(tmp_path).iterdir()))
    process.send_signal(how)
    process.communicate(timeout=60)
    left = list(tmp_path.iterdir())
    assert not file.exists()
    assert [path.suffix for path in left] == ([".part"] if how is signal.SIGKILL else [])


def test_the_key_of_a_region_is_its_own():
    """Also among the codes of ISO 3166-2 that have no calendar of their own, for a hundred and thirty thousand years."""
    codes = {"", *deadline_table._all_regions(), *(one.code for one in pycountry.subdivisions)}
    assert len(codes) > 5_000
    assert len({region_number(code) for code in codes}) == len(codes)
    assert (date(2199, 12, 31) - date(1970, 1, 1)) / timedelta(days=1) < 100_000
    assert Row._fields[0] == "key"

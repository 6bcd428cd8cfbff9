"""What an operator watches: log lines that a program can read, and measurements by Prometheus' conventions."""

import json
import logging
import os
import re
import socket
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from time import perf_counter
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from refunds.config import RELEASE
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import StorageUnavailable
from refunds.service import upkeep
from refunds.service.figures import _of_records as read_figures
from refunds.storage.checkpoints import EVERY
from refunds.web import compact, create_app
from tests.conftest import ONCE, ROOT, client_of, settings, token

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def made(directory, **changed):
    """An app whose log is kept for `logged`."""
    with pytest.MonkeyPatch.context() as patched:
        output = BytesIO()
        patched.setattr(sys, "stdout", SimpleNamespace(buffer=output))
        app = create_app(settings(directory, **changed))
    app.extensions["refunds.tests.output"] = output
    return app


@pytest.fixture
def own(tmp_path):
    """An app of this test only, whose log can be read."""
    with closing_store(made(tmp_path)) as app:
        yield app


@contextmanager
def closing_store(app):
    """A block with an app, whose store is closed afterwards."""
    try:
        yield app
    finally:
        app.extensions["refunds.store"].close()


def logged(app):
    """The lines of the log since the last call."""
    output = app.extensions["refunds.tests.output"]
    app.extensions.get("refunds.tests.finish", lambda: None)()
    lines = output.getvalue().splitlines()
    output.seek(0)
    output.truncate()
    return [json.loads(line) for line in lines]


def figures(app):
    """The samples of the measurements: by name, or by name and labels."""
    text = client_of(app, "operator").get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def taken_over(app):
    """A block in which this process only serves an app."""
    root, driver = logging.getLogger(), logging.getLogger("psycopg")
    before = root.handlers, driver.handlers, sys.stdout, threading.excepthook
    app.extensions["refunds.tests.finish"] = app.extensions["refunds.take_over"]()
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers, driver.handlers, sys.stdout, threading.excepthook = before
        driver.propagate = False


def order(app, order_id, **facts):
    """Register an order."""
    facts = {"customer_ref": "K-1", "service_provided_at": datetime.now(UTC).isoformat()} | facts
    assert client_of(app).put(f"/v1/orders/{order_id}", json=facts).status_code == 201


def fail_to_sign_in(app, name):
    """Send the form of the sign-in page with a wrong password."""
    browser = app.test_client()
    fields = re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', browser.get("/console/sign-in/").text)
    browser.post("/console/sign-in/", data=dict(fields) | {"name": name, "password": "wrong"})


@pytest.mark.parametrize(
    ("path", "role", "level"),
    [("/v1/me", "admin", "info"), ("/v1/nowhere", "admin", "info"), ("/v1/events", "agent", "warning")],
)
def test_a_request_is_logged_at_a_level_for_its_status(own, path, role, level):
    client_of(own, role).get(path)
    (line,) = logged(own)
    assert line["level"] == level
    assert (line["release"], line["instance"]) == (RELEASE, f"{socket.gethostname()}:{os.getpid()}")


def test_a_request_without_a_valid_token_and_a_failed_sign_in_are_warnings(own):
    own.test_client().get("/v1/me")
    fail_to_sign_in(own, "anna")
    lines = logged(own)
    assert lines[0]["level"] == "warning"
    assert {line["level"] for line in lines if line["event"] == "sign-in"} == {"warning"}
    assert "anna" not in json.dumps(lines)


def test_successful_probes_are_quiet_and_others_are_not(own):
    client = client_of(own)
    for path in ("/livez", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert logged(own) == []
    assert own.test_client().get("/metrics").status_code == 401
    assert [line["operation"] for line in logged(own)] == ["get_metrics"]


def test_a_probe_that_says_that_the_service_stops_is_quiet_too(own):
    own.extensions["refunds.stopping"].set()
    client = client_of(own)
    assert client.get("/readyz").status_code == 503
    assert logged(own) == []
    assert client.get("/readyz?x=1").status_code == 422
    assert len(logged(own)) == 1, "only if that is what it says"


@ONCE
@pytest.mark.parametrize("path", ["//livez", "//v1/me", "///docs"])
def test_a_path_with_two_slashes_is_no_operation(own, path):
    assert client_of(own).get("/", environ_overrides={"PATH_INFO": path}).status_code == 404
    (line,) = logged(own)
    assert (line["operation"], line["status"]) == ("unknown", 404)
    assert figures(own)["refunds_http_requests_total", "404", "GET", "unknown"] == 1


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stream_is_measured_and_logged_when_it_ends(own, monkeypatch, leaves):
    """Once, with what was decided until then, also if its reader leaves."""
    client, items = client_of(own), [{"service_provided_at": None}] * 4
    monkeypatch.setattr(compact, "_PIECE", 1)
    logged(own)
    answer = client.post("/v1/eligibility-checks/batch", json={"items": items}, headers={"Accept": compact.NDJSON})
    assert (answer.headers["X-Request-ID"], answer.headers["Cache-Control"]) == (ANY, "no-store")
    parts = answer.iter_encoded()
    assert (next(parts).count(b"\n"), logged(own)) == (1, [])
    read = 1 if leaves else 1 + len(list(parts))
    answer.close()
    (line,) = logged(own)
    assert (line["operation"], line["status"], line["actor"]) == ("check_eligibility_batch", 200, ANY)
    assert line["request_id"] == answer.headers["X-Request-ID"]
    found = figures(own)
    assert found["refunds_http_requests_total", "/v1/eligibility-checks/batch", "200", "POST"] == 1
    assert found["refunds_decisions_total", "service_not_yet_provided"] == read


def test_how_long_a_request_waited_for_a_thread_is_measured_and_logged(own):
    """Since its head arrived, if the server says when that was."""
    client = client_of(own)
    client.get("/v1/me")
    assert "waited_milliseconds" not in logged(own)[0]
    client.get("/v1/me", environ_overrides={"refunds.began": perf_counter() - 3})
    (line,) = logged(own)
    assert line["waited_milliseconds"] >= 3000
    assert line["milliseconds"] < 3000
    found = figures(own)
    assert found["refunds_http_request_wait_seconds_count",] == 1
    assert found["refunds_http_request_wait_seconds_sum",] >= 3


@ONCE
@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_the_level_is_a_setting(tmp_path, level, seen):
    with closing_store(made(tmp_path, log_level=level)) as app:
        client = client_of(app)
        client.get("/livez")
        client.get("/v1/me")
        app.test_client().get("/v1/me")
        assert len(logged(app)) == seen


def test_an_unavailable_database_is_one_line_and_no_traceback(own, monkeypatch):
    client = client_of(own)

    def away(*_, **__):
        raise StorageUnavailable("gone") from OSError("first line\nDETAIL: (customer)=(K-1)")

    monkeypatch.setattr(own.extensions["refunds.store"], "read", away)
    for path in ("/readyz", "/v1/me"):
        assert client.get(path).status_code == 503
        (line,) = logged(own)
        assert (line["event"], line["level"], line["status"]) == ("request", "error", 503)
        assert (line["detail"], line["cause"]) == ("gone", "OSError: first line")
        assert "exception" not in line


@ONCE
@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("refunds.internal:8000", "refunds.internal:8000"),
        ("10.1.2.3:8000", "10.1.2.3:8000"),
        ("Refunds.Internal", "refunds.internal"),
        ("anna@refunds.internal", "that it names"),
        ("4915123456789.internal", "that it names"),
        ('a"\\u202e\x1b[2J', "that it names"),
        ("a" * 101, "that it names"),
        ("", "that it names"),
    ],
)
def test_a_host_that_is_not_trusted_is_named_in_the_log(own, host, named):
    answer = client_of(own).get("/v1/me", headers={"Host": host})
    assert answer.status_code == 400
    (line,) = [line for line in logged(own) if line["event"] == "request" and line["status"] == 400]
    assert line["detail"] == f"the Host {named} is not in REFUNDS_TRUSTED_HOSTS"
    assert client_of(own).get("/v1/me").status_code == 200
    assert "detail" not in logged(own)[-1]


@ONCE
def test_the_trace_of_a_request_is_logged(own):
    client_of(own).get("/v1/me", headers={"traceparent": PARENT})
    (line,) = logged(own)
    assert line["trace_id"] == TRACE


@ONCE
@pytest.mark.parametrize("later", [PARENT.replace("00-", "01-", 1), PARENT.replace("00-", "cc-", 1) + "-what-comes"])
def test_a_later_version_of_traceparent_is_read_by_the_part_that_all_versions_have(own, later):
    client_of(own).get("/v1/me", headers={"traceparent": later})
    assert logged(own)[0]["trace_id"] == TRACE


@ONCE
@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "anna.meier",
        PARENT[:-1],
        PARENT + "-more",
        PARENT + "x",
        PARENT + ",",
        PARENT.upper(),
        PARENT.replace("00-", "ff-", 1),
        PARENT.replace("00-", "01-", 1) + "more",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'4915112345678'.zfill(32)}-00f067aa0ba902b7-01",
        f"00-{'ab49151123456789cd'.ljust(32, 'f')}-00f067aa0ba902b7-01",
        f"{PARENT},{PARENT}",
        "ä" * 55,
        "0" * 5000,
    ],
)
def test_a_traceparent_that_is_none_is_ignored(own, wrong):
    assert client_of(own).get("/v1/me", headers={"traceparent": wrong}).status_code == 200
    assert "trace_id" not in logged(own)[0]


def test_requests_are_counted_by_method_route_and_status(own):
    client = client_of(own)
    order(own, "gid://shop/Order/1")
    client.get("/v1/orders/gid://shop/Order/1")
    client.get("/v1/orders/nobodys")
    client.get("/no/such/route")
    for method in ("BREW", "X" * 5000):
        client.open("/v1/orders/nobodys", method=method)
    found = figures(own)
    for labels in (
        ("PUT", "/v1/orders/{order_id}", "201"),
        ("GET", "/v1/orders/{order_id}", "200"),
        ("GET", "/v1/orders/{order_id}", "404"),
        ("GET", "unknown", "404"),
    ):
        assert found["refunds_http_requests_total", *sorted(labels)] == 1, labels
    assert found["refunds_http_requests_total", "405", "other", "unknown"] == 2
    assert found["refunds_http_request_duration_seconds_count", "/v1/orders/{order_id}", "GET"] == 2


def test_writes_that_wait_are_measured(own):
    """One thread writes, and another has to wait for it."""
    store = own.extensions["refunds.store"]
    before = figures(own)["refunds_write_wait_seconds_count",]

    def write():
        with store.write(COMMAND_LINE, exclusive=True):
            pass

    def waiting():
        return own.extensions["refunds.metrics"].registry.get_sample_value("refunds_writes_waiting")

    with ThreadPoolExecutor(1) as pool:
        with store.write(COMMAND_LINE, exclusive=True):
            done = pool.submit(write)
            while not waiting() and not done.done():
                pass
            assert waiting() == 1
        done.result(timeout=60)
    assert waiting() == 0
    assert figures(own)["refunds_write_wait_seconds_count",] == before + 2


def test_a_write_that_gives_up_waiting_is_measured_too(own, monkeypatch):
    store = own.extensions["refunds.store"]
    before = figures(own)["refunds_write_wait_seconds_count",]

    def refuse(**_):
        raise StorageUnavailable("Too many writes are waiting.")

    monkeypatch.setattr(store.open()[0], "write", refuse)
    with pytest.raises(StorageUnavailable), store.write(COMMAND_LINE):
        pass
    found = figures(own)
    assert (found["refunds_write_wait_seconds_count",], found["refunds_writes_waiting",]) == (before + 1, 0)


def test_what_is_open_and_overdue_is_counted(own, engine):
    client, key = client_of(own), iter(range(100))

    def post(path, **body):
        sent = client.post(path, json=body, headers={"Idempotency-Key": f"key-{next(key)}"})
        assert sent.status_code == 201, sent.text
        return sent.json

    order(own, "A-1")
    order(own, "A-2", region="CN")
    post("/v1/orders/A-1/contacts", channel="phone")
    post("/v1/contacts", channel="phone", order_hint="the blue one", intent="cancel")
    issued = post("/v1/cancellations", order_id="A-2", contact={"channel": "phone"})
    asked, _ = (post("/v1/data-requests", kind="access", customer_ref="K-1", channel="post") for _ in "ab")
    found = figures(own)
    names = ("open_requests", "open_unmatched_contacts", "overdue_refunds", "overdue_data_requests")
    assert [found[f"refunds_{name}",] for name in names] == [1, 1, 0, 0]
    with own.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE cancellations SET overdue_at = 1")
        uow.tx.run("UPDATE data_requests SET due_at = 1 WHERE request_id = :name", name=asked["request_id"])
    found = figures(own)
    assert (found["refunds_overdue_refunds",], found["refunds_overdue_data_requests",]) == (1, 1)
    outcome = {"outcome": "refused", "reason": "no proof"}
    assert client.put(f"/v1/data-requests/{asked['request_id']}/outcome", json=outcome).status_code == 200
    assert figures(own)["refunds_overdue_data_requests",] == 0
    client.put(f"/v1/cancellations/{issued['cancellation_id']}/refund", json={"billing_ref": "RF-1"})
    assert figures(own)["refunds_overdue_refunds",] == 1
    client.put(f"/v1/cancellations/{issued['cancellation_id']}/settlement", json={"billing_ref": "RF-1"})
    found = figures(own)
    assert found["refunds_overdue_refunds",] == 0
    with own.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        assert found["refunds_journal_position",] == uow.events.head().position
    in_pool = {name for name, *_ in found if name.startswith("refunds_pool_")}
    assert bool(in_pool) is (engine == "postgresql")
    if in_pool:
        assert found["refunds_pool_connections", "idle"] >= 1
        assert (found["refunds_pool_connections_max",], found["refunds_pool_requests_waiting",]) == (10, 0)


def test_what_is_counted_is_read_from_an_index_of_what_is_open(own, engine, monkeypatch):
    """On SQLite, which says so for an empty table, too. Tokens and policies are few."""
    if engine != "sqlite":
        return
    store, asked = own.extensions["refunds.store"], []
    with store.read(COMMAND_LINE) as uow:
        kind = type(uow.tx)
        for name in ("one", "all", "each"):
            run = getattr(kind, name)
            monkeypatch.setattr(
                kind, name, lambda tx, sql, run=run, **given: asked.append((sql, given)) or run(tx, sql, **given)
            )
        assert len(list(read_figures(uow))) >= 5
        monkeypatch.undo()
        plans = [row["detail"] for sql, given in asked for row in uow.tx.all(f"EXPLAIN QUERY PLAN {sql}", **given)]
    assert {"contacts", "cancellations", "promises"} <= {plan.split()[1] for plan in plans}
    scanned = [plan for plan in plans if plan.startswith("SCAN") and " INDEX open_" not in plan]
    few = {"tokens", "clients", "journal_head", "policy_versions", "closures", "last"}
    assert {plan.split()[1] for plan in scanned} <= few, scanned


def test_provisional_regions_are_counted(own, now_in_china):
    order(own, "A-1", region="DE-BY")
    assert figures(own)["refunds_provisional_regions",] == 0
    order(own, "A-2", region="CN")
    assert figures(own)["refunds_provisional_regions",] == 1


@pytest.fixture
def now_in_china(monkeypatch):
    """The dates of China are provisional soon, whatever the date is."""
    soon = (datetime.now(UTC) + timedelta(days=10)).date()
    monkeypatch.setattr("refunds.service.figures.provisional_from", lambda region: soon if region == "CN" else None)


def test_the_end_of_each_valid_token_is_known(own):
    for role in ("billing", "operator"):
        client_of(own, role).get("/v1/me")
    with own.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        first = min(token.token_id for _, token in uow.tokens.with_clients())
        uow.tx.run("UPDATE tokens SET expires_at = 1 WHERE token_id = :first", first=first)
        client = {token.token_id: client.name for client, token in uow.tokens.with_clients()}[first]
    own.extensions["refunds.tests.tokens"].pop(client.split()[0])
    ends = [value for (name, *_), value in figures(own).items() if name == "refunds_token_expiry_timestamp_seconds"]
    assert len(ends) == 1 + client.startswith("operator")
    assert all(364 < (datetime.fromtimestamp(end, UTC) - datetime.now(UTC)).days + 1 < 366 for end in ends)


@pytest.mark.parametrize(("days", "is_shown"), [(29, True), (31, False)])
def test_a_token_that_has_ended_is_known_for_30_days(own, days, is_shown):
    end = datetime.now(UTC) - timedelta(days=days)
    token(own, "billing")
    with own.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE tokens SET expires_at = :end", end=int(end.timestamp() * 10**6))
        shown = [one for one in read_figures(uow) if one[0] == "token_expiry_timestamp_seconds"]
    assert bool(shown) is is_shown


def test_checkpoints_and_their_failures_are_measured(own):
    for number in range(EVERY):
        order(own, f"A-{number}")
    store, found = own.extensions["refunds.store"], figures(own)
    assert found["refunds_checkpoint_position",] >= EVERY
    assert abs(found["refunds_checkpoint_timestamp_seconds",] - datetime.now(UTC).timestamp()) < 600
    store.checkpoints.file.unlink()
    store.checkpoints.file.mkdir()
    store.checkpoint()
    found = figures(own)
    assert found["refunds_checkpoint_failures_total",] == 1
    assert ("refunds_checkpoint_position",) not in found
    assert ("refunds_journal_position",) in found


def test_backups_and_audits_of_other_processes_are_known(own, tmp_path, engine):
    assert ("refunds_verify_last_success_timestamp_seconds",) not in figures(own)
    run = own.test_cli_runner().invoke
    from refunds.cli.audit import command as audit  # noqa: PLC0415
    from refunds.cli.backup import command as backup  # noqa: PLC0415

    began = datetime.now(UTC).timestamp() - 1
    assert run(audit, ["verify"]).exit_code == 0
    assert run(backup, [str(tmp_path / "copy.db")]).exit_code == (0 if engine == "sqlite" else 4)
    found = figures(own)
    assert found["refunds_verify_last_success_timestamp_seconds",] > began
    assert (("refunds_backup_last_success_timestamp_seconds",) in found) is (engine == "sqlite")
    backed_up, verified = (upkeep.last_done(tmp_path / "ledger", done) for done in ("backup", "verify"))
    with own.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE orders SET region = 'FR'")
        uow.tx.run("UPDATE journal_head SET position = position + 1")
    assert run(audit, ["verify"]).exit_code == 20
    assert upkeep.last_done(tmp_path / "ledger", "verify") == verified, "a fault is no success"
    (tmp_path / "ledger/last-verify.json").write_text('{"at": "yest')
    noted = [upkeep.last_done(tmp_path / "ledger", done) for done in ("backup", "verify", "retention")]
    assert noted == [backed_up, None, None]


def test_the_alert_about_an_old_backup_comes_only_with_sqlite(own, engine):
    """The measurement of the last backup is absent with PostgreSQL, and is an old one after a move there."""
    (group,) = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"]
    (rule,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == "RefundsBackupOld")
    assert rule.endswith(') and on() refunds_build_info{sqlite!=""}')
    text = client_of(own, "operator").get("/metrics").text
    (version,) = re.findall(r'^refunds_build_info\{.*sqlite="(.*?)"', text, re.MULTILINE)
    assert bool(version) is (engine == "sqlite")


@ONCE
def test_the_names_follow_the_conventions(own):
    """Source: Prometheus, Metric and label naming. No `_created` series, which nobody asked for."""
    for family in text_string_to_metric_families(client_of(own, "operator").get("/metrics").text):
        assert re.fullmatch(r"(refunds|process|python)_[a-z_]+", family.name)
        assert not family.name.endswith(("_count", "_sum", "_bucket", "_total", "_milliseconds", "_created"))
        assert all(sample.name.endswith("_total") for sample in family.samples if family.type == "counter")
        assert family.documentation


@ONCE
def test_every_metric_is_on_the_page_and_every_metric_on_the_page_exists(own):
    """A row has the name, the labels and the help, as they are at `/metrics`."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", (ROOT / "docs/watching.md").read_text(), re.MULTILINE
    )
    named = {}
    for family in own.extensions["refunds.metrics"].registry._collector_to_names:
        for one in family.describe() if hasattr(family, "describe") else family.collect():
            ending = {"counter": "_total", "info": "_info"}.get(one.type, "")
            named[one.name + ending] = one.type, one.documentation
    others = {name for name in named if name.startswith(("process_", "python_"))}
    on_page = {name: (kind, text) for name, kind, _, text in rows}
    assert {name: on_page.get(name) for name in named if name not in others} == {
        name: found for name, found in named.items() if name not in others
    }
    assert on_page.keys() <= named.keys()
    labels = {name: set(re.findall(r"`(\w+)`", listed)) for name, _, listed, _ in rows}
    order(own, "A-1")
    for family in text_string_to_metric_families(client_of(own, "operator").get("/metrics").text):
        for sample in family.samples:
            name = family.name + {"counter": "_total"}.get(family.type, "")
            if name in labels:
                assert sample.labels.keys() - {"le"} == labels[name], name


@ONCE
def test_every_field_of_the_log_is_on_the_page(own, monkeypatch):
    """And every field on the page is in some line."""
    client = client_of(own)
    client.get("/v1/me", headers={"traceparent": PARENT}, environ_overrides={"refunds.began": perf_counter()})
    fail_to_sign_in(own, "anna")
    store = own.extensions["refunds.store"]
    order(own, "A-1")
    store.checkpoint()
    with taken_over(own), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
        logging.getLogger("psycopg.pool").warning("lost %s", 1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE tokens SET expires_at = :soon", soon=int((datetime.now(UTC).timestamp() + 86400) * 1e6))
    client.get("/v1/me")
    monkeypatch.setattr("refunds.domain.judging.decide", lambda *_, **__: 1 / 0)
    client.post("/v1/eligibility-checks", json={"service_provided_at": None})

    def away(*_, **__):
        raise StorageUnavailable("gone") from OSError("away")

    monkeypatch.setattr(store, "read", away)
    client.get("/readyz")
    lines = logged(own)
    page = (ROOT / "docs/watching.md").read_text().partition("## The log")[2].partition("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)` \| ", page.partition("| field |")[2], re.MULTILINE)
    assert sorted(set().union(*lines)) == sorted(listed)
    events = re.findall(r"^\| `([\w-]+)` \| ", page.partition("| field |")[0], re.MULTILINE)
    assert sorted({line["event"] for line in lines}) == sorted(events)

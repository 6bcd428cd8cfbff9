"""Everything personal has one list: the tables of `docs/privacy.md`, and below it the fields of the API and the screens.

What is stored, logged, measured, written or shown and is on no list fails a test, which says what to add.
"""

import ast
import re
from contextlib import closing
from datetime import UTC, datetime
from fnmatch import fnmatch

import pytest

from refunds.cli import Commands
from refunds.cli.serve import _keep
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service.store import Store
from refunds.storage import schema
from refunds.storage.tables import RECORDS, sealed
from refunds.web import create_app
from refunds.web.console.verification import _follow
from tests.conftest import ROOT, openapi, settings
from tests.service.test_privacy import erase, registered

KINDS = ("personal", "pseudonymous", "none")
ON_PAGE = (ROOT / "docs/privacy.md").read_text()
WATCHED = (ROOT / "docs/watching.md").read_text()
ROW = re.compile(
    r"^\| (?P<place>[^|]+) \| ?(?P<personal>[^|]*)\| ?(?P<pseudonymous>[^|]*)\| ?(?P<none>[^|]*)\|$", re.MULTILINE
)

FIELDS = {
    "personal": """
        answer_text billing_ref correction_reason customer_ref extension_reason fee_reason from_detail identity_check
        note order_hint outcome_reason reason recipient reference ticket_ref to value
    """,
    "pseudonymous": """
        acknowledgement actor after answered_at approved_by asserted_by at begun_at begun_by cancellation
        cancellation_id cancellations certificate checked_at client_id closed_at closed_by contact contact_id
        contacts customer_id data data_requests date days deadline deadline_after deadline_before deadline_local
        decision details_until disclosed_at disclosed_by disclosure_id disclosures due_at duplicate_of
        earlier_recipients extended_at extended_by entered_at entered_by erased erased_at examples first_counted_day given_at given_by held_at held_by id
        instance issued_at issued_by items judged_by_contact kept_until last_day lifted_at limit_id limits lines
        made_at name next order order_id order_ids ordered_at orders override promise promise_id promised_at
        promised_by promises received_at record_id recorded_at recorded_by refund refund_due_by region
        registered_at registered_by request_id request_number requested_at resolution resolved_at resolved_by
        revocation revoked_at revoked_by sent_at service_day service_provided_at set_at settled_at settled_by
        settlement subject superseded_by supersedes taken_by timely_by token_id unmatched_contacts unmatched_id user_id
        window
        withdrawn_by
    """,
    "none": """
        accepted anchor anyway automated_decision backdated basis broken business_day business_days_left
        business_week by_channel by_month by_region calendar categories cause cells changed channel checkpoint
        closure_id closures coarse code compared_with complaint contact_point content_hash corrections count country
        covered_from covered_until current customers de default detail differences digest effect_text effective_from
        eligible email en end_week erased_since erasure_reason errors evidence_after_deadline expires_at
        extension fee fee_may_apply facts_corrected_after_refusal facts_entered_by_agent field fields fingerprint
        follow_order_region follows from has_ended hash held holidays_version human_review imported include_days
        information information_period intent journal journal_id judged judged_by keep_cancelled_years
        keep_contacted_years keep_details_months keep_ordered_years keep_others_years kept keys kind language last
        last_updated late_entry_days law ledger_lost length limit longer month months name_language named_region names
        not_provided notices open ordinal outcome overridden override_kind page_published_at page_url
        parts_that_differ period period_law_days phone pointer points policy policy_versions position previous
        proof provisional provisional_from purposes reason_after reason_before reason_code reason_text
        recipients records refund_due_days release retention revision rights role said scopes shorter since
        sound source state status table term terms text texts time_zone title to_eligible to_refused transfers
        type tzdata_version undecided unit vendor vendor_name verdict version versions warnings why
        window_business_days withdrawn_at without_subdivision
    """,
}
"""The fields of the API: a name is personal if it is anywhere."""

SCREENS = {
    "personal": """
        account answer answer_data_request cancel cancellation check confirm confirm_override confirm_record confirmation contact
        customer data_request evidence_page exported find find_any follow_up history match new_data_request new_unmatched
        act_on_several all_cancellations begin_unmatched cancellations_table follow_up_unmatched open_data_request
        open_requests recent record record_unmatched revoke search taken
        unmatched_contact sign_in
    """,
    "pseudonymous": """
        data_requests_due event journal next_request register_demonstration simulate_draft simulated verification verify
    """,
    "none": """
        by_date change_password close_day closing draft end_sessions nowhere policies policy publish review sign_out
        statistics withdraw withdrawal
    """,
}
"""The screens of the console, by endpoint; `tests/console/test_access.py` shows them to roles that see no names."""

WRITERS = {
    "cli/__init__.py": "EXPORT",
    "cli/serve.py": "tokens.env",
    "security/master_key.py": "master.key",
    "service/backups.py": "BACKUP",
    "service/retention.py": "retention.lock",
    "service/upkeep.py": "last-*.json",
    "storage/checkpoints.py": "*.jsonl",
    "storage/sqlite.py": "refunds.db",
    "storage/ticket.py": "refunds.db.*",
    "web/log.py": None,
}
"""Each module that writes to a file, and a file on the page that it writes; the log is none."""


def listed():
    """What is on the page, by place: each name with its kind."""
    found = {}
    for row in ROW.finditer(ON_PAGE.partition("## The list of everything stored")[2]):
        names = [(name, kind) for kind in KINDS for name in re.findall(r"`([^`]+)`", row[kind])]
        assert len(dict(names)) == len(names), f"named twice: {row['place']}"
        found[row["place"].strip("`")] = dict(names)
    return found


def compare(place, there):
    """Assert that what is there is on the list of a place, and nothing else."""
    on_list = listed().get(place, {})
    missing, gone = sorted(set(there) - on_list.keys()), sorted(on_list.keys() - set(there))
    assert not missing, f"docs/privacy.md, {place}: add to personal, pseudonymous or none: {', '.join(missing)}"
    assert not gone, f"docs/privacy.md, {place}: there is none such any more: {', '.join(gone)}"


def columns(store):
    """The columns of a database, by table."""
    found = {}
    engine = store.open()[0]
    with engine.read() as tx:
        for kind, name in schema._schema(tx, schema._SQLITE if engine.sqlite_version else schema._POSTGRESQL):
            if kind == "column":
                table, _, column = name.partition(".")
                found.setdefault(table, set()).add(column)
    return found


def test_every_column_is_on_the_list(engine, tmp_path):
    with closing(Store(settings(tmp_path, engine=engine))) as store:
        found = columns(store)
    for table, there in found.items():
        compare(table, there)
    assert found["contacts"] >= {"note", "decision"}


def test_what_is_sealed_is_personal_or_opens_or_finds_what_is():
    on_list = listed()
    for mapper in (kind.mapper for kind in RECORDS):
        personal = {name for name, kind in on_list[mapper.name].items() if kind == "personal"}
        plain = {"name", "password_hash"} if mapper.name == "users" else set()
        assert personal - plain == set(mapper.personal), mapper.name
    none = {(table, column) for table, column in sealed() if on_list[table][column] == "none"}
    assert none == {("keys", "wrapped"), ("tokens", "secret_digest")}


def test_every_field_of_the_log_and_every_label_is_on_the_list():
    """The page about watching is held to the service in `tests/api/test_watching.py`."""
    log = WATCHED.partition("## The log")[2].partition("\n### ")[0].partition("| field |")[2]
    compare("fields of the log", re.findall(r"^\| `(\w+)` \| ", log, re.MULTILINE))
    labels = re.findall(r"^\| `\w+` \| (?:counter|gauge|histogram|info) \| (.*?) ?\| ", WATCHED, re.MULTILINE)
    compare("labels of the measurements", re.findall(r"`(\w+)`", " ".join(labels)))
    assert "personal" not in {*listed()["fields of the log"].values(), *listed()["labels of the measurements"].values()}


def test_every_file_is_on_the_list(tmp_path):
    """Those of an installation that has erased, exported, been backed up, audited and restored."""
    of = settings(tmp_path / "data", master_key_file=tmp_path / "keys" / "master.key", ledger_dir=tmp_path / "ledger")
    made = tmp_path / "made"
    made.mkdir()
    (tmp_path / "draft.toml").write_text(
        'policy = "virtual-numbers"\nversion = 2\neffective_from = 2035-01-02T00:00:00Z'
    )
    app = create_app(of)
    app.cli, store = Commands(app.name), app.extensions["refunds.store"]
    erase(store, registered(store, "A-1"))
    registered(store, "A-2")
    _keep({Role.ADMIN: "a token"}, of.master_key_file)
    _follow(store, COMMAND_LINE, {})
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    there = names(tmp_path)
    for words in (
        ["backup", made / "BACKUP"],
        ["audit", "verify"],
        ["retention", "run"],
        ["export", "orders", "--from", today, "--to", today, "--output", made / "EXPORT"],
        ["policy", "simulate", tmp_path / "draft.toml", "--html", made / "REPORT"],
        ["restore", made / "BACKUP"],
    ):
        if words[0] == "restore":
            there |= names(tmp_path)
            store.close()
        done = app.test_cli_runner().invoke(args=list(map(str, words)))
        assert done.exit_code == 0, done.output
    there = (there | names(tmp_path)) - {"draft.toml"}
    on_list = {name: place for place, names in listed().items() if place.startswith("files") for name in names}
    missing = [name for name in sorted(there) if not any(fnmatch(name, one) for one in on_list)]
    assert not missing, f"docs/privacy.md, a row of files: add {', '.join(missing)}"
    gone = [one for one in on_list if one != "EVIDENCE" and not any(fnmatch(name, one) for name in there)]
    assert not gone, f"docs/privacy.md, files: there is none such any more: {', '.join(gone)}"


def names(directory):
    """The names of the files in a directory, except those beside a database that was replaced."""
    return {
        file.name
        for file in directory.rglob("*")
        if file.is_file() and not re.search(r"replaced-.*-(wal|shm)$", file.name)
    }


WRITING = {"write_bytes", "write_text", "O_CREAT", "fdopen", "_output"}


def test_every_module_that_writes_a_file_is_known():
    """When this fails, add the module to `WRITERS`, and its file to `docs/privacy.md`."""
    found = set()
    for path in (ROOT / "refunds").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            writes = isinstance(node, ast.Attribute) and node.attr in WRITING
            opens = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "open"
            given = [one.value for one in getattr(node, "args", ()) if isinstance(one, ast.Constant)] if opens else []
            if writes or any(isinstance(mode, str) and re.fullmatch(r"[wax]b?\+?|r\+b?", mode) for mode in given):
                found.add(str(path.relative_to(ROOT / "refunds")))
    assert found == WRITERS.keys()
    on_list = {name for place, names in listed().items() if place.startswith("files") for name in names}
    assert not [one for one in filter(None, WRITERS.values()) if not any(fnmatch(name, one) for name in on_list)]


def properties(document):
    """The names of all fields in a document of the API."""
    if isinstance(document, dict):
        if isinstance(document.get("properties"), dict):
            yield from document["properties"]
        for part in document.values():
            yield from properties(part)
    elif isinstance(document, list):
        for part in document:
            yield from properties(part)


def require_listed(there, lists, where):
    """Assert that what is there is on exactly one of the lists, and nothing else."""
    there, on_list = set(there), [name for text in lists.values() for name in text.split()]
    missing, gone = sorted(there - set(on_list)), sorted(set(on_list) - there)
    assert len(set(on_list)) == len(on_list), sorted(name for name in on_list if on_list.count(name) > 1)
    assert not missing, f"add to personal, pseudonymous or none of {where}: {', '.join(missing)}"
    assert not gone, f"{where}: there is none such any more: {', '.join(gone)}"


def test_every_field_of_the_api_is_on_the_list():
    require_listed(properties(openapi()), FIELDS, "FIELDS")


def test_every_screen_is_on_the_list(app):
    screens = {name.removeprefix("console.") for name in app.view_functions if name.startswith("console.")}
    require_listed(screens, SCREENS, "SCREENS")


def test_what_is_on_no_list_is_found():
    for there, words in (({"mine"}, "add to .*: mine"), (set(), "none such any more: wrapped")):
        with pytest.raises(AssertionError, match=words):
            compare("keys", there | {"name"} | ({"wrapped"} if there else set()))
    with pytest.raises(AssertionError, match=r"add to .* of SCREENS: mine"):
        require_listed({"mine"}, {"none": ""}, "SCREENS")

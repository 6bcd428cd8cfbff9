"""The files in `deploy/` agree with the service and its documentation."""

import re
from dataclasses import fields
from fnmatch import fnmatch

import pytest
import yaml

from refunds.cli.front import IN_TIME, LARGEST
from refunds.config import Settings
from refunds.web import TAGS
from tests.conftest import ROOT

FILES = sorted(path for path in (ROOT / "deploy").iterdir())
PAGE = (ROOT / "docs/installing.md").read_text()
UNIT, CONTAINER, NGINX, CADDY = (
    (ROOT / "deploy" / name).read_text() for name in ("refunds.service", "Containerfile", "nginx.conf", "Caddyfile")
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_on_the_page_and_names_only_settings_that_there_are(file):
    assert f"`deploy/{file.name}`" in PAGE
    known = {field.metadata["name"] for field in fields(Settings)}
    assert set(re.findall(r"\bREFUNDS_[A-Z_]+\b", file.read_text() + PAGE)) <= known


def test_the_image_runs_as_nobody_known_without_a_shell_on_a_base_pinned_by_its_digest():
    bases = re.findall(r"^FROM (\S+)", CONTAINER, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}", bases[0])
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", CONTAINER, re.MULTILINE)
    for line in re.findall(r"^\s*(?:RUN|ENTRYPOINT|CMD) (.*)$", CONTAINER, re.MULTILINE):
        assert line.startswith("["), "a shell would run it"
    assert "REFUNDS_BEHIND_TLS_PROXY" not in CONTAINER, "whoever runs it says so"


def test_a_proxy_lets_through_what_the_service_accepts_and_no_more():
    most = max(operation.most_bytes for tag in TAGS for operation in tag.operations)
    assert most == LARGEST, "the server reads bodies up to the largest that an operation takes"
    assert f"client_max_body_size {most // 2**20}m;" in NGINX
    assert f"max_size {most // 2**20}MiB" in CADDY


def test_a_proxy_ends_idle_connections_to_the_service_before_the_service_does():
    """Else it may send a request on a connection that is being closed, and lose it or have to repeat it."""
    upstream, transport = NGINX.partition("}")[0], CADDY.partition("transport http")[2]
    for config, word in ((upstream, "keepalive_timeout"), (transport, "keepalive")):
        assert int(re.search(rf"\b{word} (\d+)s", config)[1]) < IN_TIME


def test_the_unit_takes_every_right_that_it_can():
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "CapabilityBoundingSet=\n"):
        assert line in UNIT
    calls = re.findall(r"^SystemCallFilter=(.*)$", UNIT, re.MULTILINE)
    assert calls == ["@system-service", "~@privileged @resources", "setpriority"], (
        "passwords are hashed by slow threads"
    )
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[1]) > 30 + 10


def test_an_upgrade_copies_the_units_that_an_installation_copies():
    (copies,) = re.findall(r"^cp /opt/refunds/deploy/.* /etc/systemd/system/$", PAGE, re.MULTILINE)
    patterns = [word.rpartition("/")[2] for word in copies.split()[1:-1]]
    units = {file.name for file in FILES if file.suffix in {".service", ".timer"}}
    assert {name for name in units if any(fnmatch(name, pattern) for pattern in patterns)} == units
    upgrade = (ROOT / "docs/operating.md").read_text().partition("## Upgrading")[2]
    assert upgrade.index(copies) < upgrade.index("systemctl daemon-reload") < upgrade.index("systemctl start")


def test_a_further_instance_differs_in_its_port_alone():
    lines, others = UNIT.splitlines(), (ROOT / "deploy/refunds@.service").read_text().splitlines()
    assert [line for line in others if line not in lines][1:] == [
        "Description=Refund and cancellation policy service, port %i",
        "Environment=PORT=%i",
    ]
    assert len([line for line in lines if line not in others]) == 2, "its name and its description"
    assert "PORT=" not in (ROOT / "deploy/refunds.env").read_text(), "which would come before it"


def test_caddy_sends_no_write_to_a_second_instance():
    """It sends only a GET again that has reached one, unless it is told which others may be."""
    assert not re.search(r"^\s*lb_retry_match", CADDY, re.MULTILINE)


def test_both_proxies_say_the_same_if_no_instance_responds():
    quoted = [
        re.findall(pattern, config) for pattern, config in ((r"return 503 '(.+)'", NGINX), (r"`(.+)` 503", CADDY))
    ]
    assert sorted(quoted[0]) == sorted(quoted[1])
    assert len(quoted[0]) == 2, "a problem and a page"


def test_what_is_installed_can_be_read_by_the_user_of_the_service():
    commands = PAGE.partition("```sh")[2].partition("```")[0]
    assert commands.index("umask 022") < commands.index("git clone") < commands.index("make -C")


def test_the_nightly_unit_has_no_more_rights_and_runs_at_midnight_where_the_default_policy_is(packaged):
    nightly, timer = ((ROOT / "deploy" / f"refunds-retention.{end}").read_text() for end in ("service", "timer"))
    rights = UNIT[UNIT.index("NoNewPrivileges") : UNIT.index("# For the threads")]
    assert rights in nightly
    for line in ("User=refunds", "EnvironmentFile=/etc/refunds/refunds.env", "UMask=0077"):
        assert line in UNIT
        assert line in nightly
    commands = re.findall(r"^ExecStart=/opt/refunds/\.venv/bin/refunds (.*)$", nightly, re.MULTILINE)
    assert commands == ["retention run", "statistics close"]
    assert re.search(rf"^OnCalendar=\*-\*-\* 00:00:\d\d {packaged.terms.time_zone}$", timer, re.MULTILINE)


ALERTS = {
    rule["alert"]: rule["expr"]
    for rule in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"][0]["rules"]
}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_uses_measurements_and_labels_that_there_are(name):
    rows = re.findall(r"^\| `(refunds_\w+)` \| \w+ \| (.*?)\|", (ROOT / "docs/watching.md").read_text(), re.MULTILINE)
    labels = {measured: set(re.findall(r"\w+", listed)) for measured, listed in rows} | {"up": {"job"}}
    used = re.findall(r"\b(refunds_\w+?|up)(?:_bucket)?\b(?:\{(\w+))?", ALERTS[name])
    assert used
    for measured, label in used:
        assert {label} - {""} <= labels[measured]


@pytest.mark.parametrize("name", [name for name, rule in ALERTS.items() if "absent" in rule])
def test_an_alert_about_something_absent_is_silent_while_no_instance_answers(name):
    """Then everything is absent, which is an alert of its own."""
    assert re.fullmatch(r"\(.*\) and on\(\) refunds_build_info(\{.*\})?", ALERTS[name])

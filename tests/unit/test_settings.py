"""The settings: a variable that is no setting is refused, because a misspelt one would silently have its default."""

import os
from dataclasses import fields
from unittest import mock

import pytest

from refunds.config import Settings, load_settings
from refunds.errors import ConfigurationError


def refused(**environment):
    """The lines of the refusal of an environment, or none."""
    with mock.patch.dict(os.environ, environment, clear=True):
        try:
            load_settings()
        except ConfigurationError as error:
            return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REFUNDS_LEDGERDIR", "REFUNDS_LEDGER_DIR"),
        ("REFUNDS_DATABSE", "REFUNDS_DATABASE"),
        ("REFUNDS_DATABASE_URL", "REFUNDS_DATABASE"),
        ("REFUNDS_MASTER_KEY", "REFUNDS_MASTER_KEY_FILE"),
        ("REFUNDS_Env", "REFUNDS_ENV"),
        ("REFUNDS_TRUSTED_HOST", "REFUNDS_TRUSTED_HOSTS"),
        ("REFUNDS_PORT", "PORT"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_one_that_is_meant_and_without_its_value(name, meant):
    assert refused(**{name: "a secret"}) == [f"{name}: is no setting: did you mean {meant}?"]


def test_a_setting_that_resembles_none_is_refused_with_all_of_them():
    (line,) = refused(REFUNDS_XQZ="1")
    assert line.startswith(
        "REFUNDS_XQZ: is no setting: the settings are PORT, REFUNDS_LISTEN, REFUNDS_BEHIND_TLS_PROXY, REFUNDS_POLICY, "
    )


def test_misspelt_and_invalid_settings_are_reported_together():
    lines = refused(PORT="0", REFUNDS_POLICI="a", REFUNDS_RATE_LIMIT="many", REFUNDS_EVN="production")
    assert [line.partition(":")[0] for line in lines] == ["PORT", "REFUNDS_RATE_LIMIT", "REFUNDS_EVN", "REFUNDS_POLICI"]


def test_other_variables_are_not_ours():
    """Kubernetes puts the latter into each container, for a service that is called `refunds` or `refunds-db`."""
    others = {
        "PATH": "/bin",
        "POLICY": "a",
        "MY_REFUNDS_POLICI": "a",
        "REFUNDS_SERVICE_HOST": "10.0.0.1",
        "REFUNDS_SERVICE_PORT": "8000",
        "REFUNDS_SERVICE_PORT_HTTP": "8000",
        "REFUNDS_PORT": "tcp://10.0.0.1:8000",
        "REFUNDS_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "REFUNDS_PORT_8000_TCP_ADDR": "10.0.0.1",
        "REFUNDS_DB_SERVICE_HOST": "10.0.0.2",
        "REFUNDS_DB_PORT": "tcp://10.0.0.2:5432",
        "REFUNDS_DB_PORT_5432_TCP_PROTO": "tcp",
    }
    assert refused(**others) == []


def test_every_setting_is_one():
    given = {
        "PORT": "8001",
        "REFUNDS_POLICY": "virtual-numbers",
        "REFUNDS_ENV": "production",
        "REFUNDS_DATABASE": "sqlite:///a.db",
        "REFUNDS_MASTER_KEY_FILE": "key",
        "REFUNDS_LEDGER_DIR": "ledger",
        "REFUNDS_RATE_LIMIT": "0",
        "REFUNDS_DRAIN_SECONDS": "0",
        "REFUNDS_LOG_LEVEL": "debug",
        "REFUNDS_TRUSTED_HOSTS": "a",
        "REFUNDS_PUBLIC_URL": "",
        "REFUNDS_LISTEN": "::1",
        "REFUNDS_BEHIND_TLS_PROXY": "false",
    }
    assert given.keys() == {field.metadata["name"] for field in fields(Settings)}
    assert refused(**given) == []


WRONG = {
    "PORT": ["", "0", "65536", "-1", "8000 ", "8_000", "eighty", "127.0.0.1:80"],
    "REFUNDS_LOG_LEVEL": ["", "INFO", "warn", "info "],
    "REFUNDS_DRAIN_SECONDS": ["", "-1", "601", "007", "5s", "1.5"],
    "REFUNDS_POLICY": [""],
    "REFUNDS_ENV": ["", "prod", "Production", "production "],
    "REFUNDS_DATABASE": ["", "refunds.db", "mysql://a/b", "sqlite://a", "sqlite:///", "sqlite:///a?b", "sqlite:///a#b"],
    "REFUNDS_MASTER_KEY_FILE": [""],
    "REFUNDS_LEDGER_DIR": [""],
    "REFUNDS_RATE_LIMIT": ["", "-1", "1.5", "many", "1000000", "1000/s"],
    "REFUNDS_TRUSTED_HOSTS": ["", ",", "a,,b", "a:8000", "https://a", "a/b", "*", "[::1]", "::1", "a b"],
    "REFUNDS_PUBLIC_URL": ["refunds.example", "https://", "https://a/", "https://a/b", "ftp://a", "https://a?b"],
    "REFUNDS_LISTEN": ["", "localhost", "127.0.0.1:8000", "[::1]", "*", "1.2.3", "0.0.0.0/0", "127.0.0.1 "],
    "REFUNDS_BEHIND_TLS_PROXY": ["", "yes", "True", "1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_setting_of_a_wrong_form_is_refused(name, value):
    (line,) = refused(**{name: value})
    assert line.startswith(f"{name}: must ")


def test_everything_that_is_wrong_is_reported_together():
    assert WRONG.keys() == {field.metadata["name"] for field in fields(Settings)}
    lines = refused(**{name: values[0] for name, values in WRONG.items()})
    assert sorted(line.partition(":")[0] for line in lines) == sorted(WRONG)


OUTSIDE = ("0.0.0.0", "::", "10.0.0.1", "fd00::1")  # noqa: S104 - to be refused


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_that_others_reach_needs_a_tls_proxy(address):
    for not_said in ({}, {"REFUNDS_BEHIND_TLS_PROXY": "false"}):
        (line,) = refused(REFUNDS_LISTEN=address, **not_said)
        assert line.startswith("REFUNDS_LISTEN: others could reach the service without TLS: put a TLS proxy in front")
    assert refused(REFUNDS_LISTEN=address, REFUNDS_BEHIND_TLS_PROXY="true") == []


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_the_loopback_interface_needs_none(address):
    assert refused(REFUNDS_LISTEN=address) == []


def test_behind_a_tls_proxy_clients_have_an_address_with_tls():
    proxy = {"REFUNDS_BEHIND_TLS_PROXY": "true"}
    (line,) = refused(REFUNDS_PUBLIC_URL="http://refunds.example", **proxy)
    assert line == "REFUNDS_PUBLIC_URL: must begin with https:// with REFUNDS_BEHIND_TLS_PROXY=true"
    assert refused(REFUNDS_PUBLIC_URL="https://refunds.example", **proxy) == []


def test_contradicting_settings_are_reported_with_those_of_a_wrong_form():
    lines = refused(REFUNDS_LISTEN="::", PORT="0", REFUNDS_EVN="a")
    assert [line.partition(":")[0] for line in lines] == ["PORT", "REFUNDS_LISTEN", "REFUNDS_EVN"]

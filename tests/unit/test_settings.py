"""The settings: a variable that is no setting is refused, because a misspelt one would silently have its default."""

import os
from unittest import mock

import pytest

from refunds.config import load_settings
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
    assert line.startswith("REFUNDS_XQZ: is no setting: the settings are PORT, REFUNDS_POLICY, REFUNDS_ENV, ")


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
        "REFUNDS_TRUSTED_HOSTS": "a",
        "REFUNDS_PUBLIC_URL": "",
    }
    assert refused(**given) == []

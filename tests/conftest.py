"""What the tests share: the vectors, the packaged policy, an app and its client."""

import json
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient

from refunds.business_days import WEEKDAYS, Week
from refunds.config import Settings
from refunds.policy import PolicyVersion, read_policy
from refunds.web import create_app

# In continuous integration the same random cases every time: it judges a change, not its luck. New ones are for
# whoever works on it.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).parent.parent
VECTORS = json.loads((ROOT / "tests/unit/business-day-vectors.json").read_text())["cases"]
KIND = {"weekend": "weekend", "holiday": "public_holiday", "closure": "closure"}


def week(mask: str | None) -> Week | None:
    """The week of a vector: `1111100` is Monday to Friday."""
    if mask is None or mask == "country":
        return mask
    return tuple(day for day, bit in zip(WEEKDAYS, mask, strict=True) if bit == "1")


def region(case: dict) -> str:
    """The region of a vector."""
    return f"{case['country']}-{case['subdivision']}" if case["subdivision"] else case["country"]


def settings(**changed: object) -> Settings:
    """The settings of a test, with some changed."""
    given = {"port": 8000, "policy": "virtual-numbers", "policies": None, "trusted_hosts": ["localhost"]}
    return Settings(**given | changed)


@pytest.fixture(scope="session")
def packaged() -> PolicyVersion:
    """The packaged default policy."""
    return read_policy((files("refunds") / "policies/virtual-numbers.1.toml").read_text())


@pytest.fixture(scope="session")
def app() -> Flask:
    """The service as it is configured by default."""
    return create_app(settings())


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    """A client of the service."""
    with app.test_client() as client:
        yield client

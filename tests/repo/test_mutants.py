"""What `make mutants` knows of survivors fits the code. It needs packages that are only installed for it."""

import tomllib

from tests.conftest import ROOT

GROUPS = tomllib.loads((ROOT / "tools/mutants.toml").read_text())["survivors"]


def test_each_known_survivor_is_a_line_of_the_code_with_a_reason():
    for group in GROUPS:
        text = " ".join((ROOT / "refunds/domain" / f"{group['module']}.py").read_text().split())
        assert group["why"].strip()
        for line, becomes in group["mutants"]:
            assert line in text, f"{line} is gone: run make mutants, and correct mutants.toml"
            assert line != becomes


def test_no_survivor_is_listed_twice():
    listed = [
        (group["module"], group["function"], line, becomes) for group in GROUPS for line, becomes in group["mutants"]
    ]
    assert len(listed) == len(set(listed))

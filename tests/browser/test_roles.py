"""What product teams, auditors and every user do by themselves, in a real browser with the real server."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])


def draft(service, version, days):
    """The file of a version that takes effect in some days, with a window of so many."""
    at = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z")
    text = f'policy = "virtual-numbers"\nversion = {version}\neffective_from = {at}\nwindow_business_days = {days}\n'
    return {"name": "draft.toml", "mimeType": "application/toml", "buffer": text.encode()}


def versions(service):
    """The numbers of the versions of the policy, and whether each is withdrawn."""
    found = service.answers("GET", "/v1/policies/virtual-numbers")["versions"]
    return {one["version"]: one["withdrawn_at"] is not None for one in found}


@SCRIPTS
def test_a_version_is_published_from_a_file_and_withdrawn(visit, service, scripts):
    product, number = visit("product", java_script_enabled=scripts), len(versions(service)) + 1
    product.page.goto("/console/policies")
    product.link("Publish a version").click()
    product.reads("Publish a version")
    product.page.locator("#file").set_input_files(draft(service, number, 300 + number))
    product.button("See what it changes").click()
    product.reads("What it changes")
    expect(product.page.get_by_text(f"Version {number} of virtual-numbers would be published.")).to_be_visible()
    assert number not in versions(service)
    product.button("Publish it as shown").click()
    expect(product.page.get_by_role("status")).to_contain_text(f"Version {number} of virtual-numbers is published.")
    assert versions(service)[number] is False
    product.page.locator(f"#version-{number}").get_by_role("link", name="Withdraw it").click()
    product.reads(f"Withdraw version {number}")
    product.button("Withdraw it").click()
    expect(product.page.get_by_role("status")).to_contain_text("is withdrawn")
    assert versions(service)[number] is True


@SCRIPTS
def test_a_file_of_ten_megabytes_is_refused_beside_its_field(visit, service, scripts, tmp_path):
    product, before = visit("product", java_script_enabled=scripts), versions(service)
    product.page.goto("/console/draft")
    large = tmp_path / draft(service, 99, 9)["name"]
    large.write_bytes(b"#" * 10 * 2**20)  # which the browser reads itself
    product.page.locator("#file").set_input_files(large)
    product.button("See what it changes").click()
    expect(product.page.locator("#file-error")).to_contain_text("at most 256 kB")
    product.is_at(product.page.get_by_role("alert"))
    assert versions(service) == before


def test_a_double_click_publishes_once(visit, service):
    product, number = visit("product"), len(versions(service)) + 1
    product.page.goto("/console/draft")
    product.page.locator("#file").set_input_files(draft(service, number, 300 + number))
    product.button("See what it changes").click()
    product.reads("What it changes")
    product.button("Publish it as shown").dblclick()
    expect(product.page.get_by_role("status")).to_contain_text(f"Version {number} of virtual-numbers")
    assert list(versions(service)) == list(range(1, number + 1))


@SCRIPTS
def test_an_auditor_verifies_everything_and_finds_the_result_again(visit, scripts):
    auditor = visit("auditor", java_script_enabled=scripts)
    auditor.page.goto("/console/journal")
    auditor.button("Verify all of it").click()
    auditor.reads("Verification of the records")
    expect(auditor.page.get_by_role("status")).to_contain_text("Nothing has been changed")
    expect(auditor.button("Print")).to_be_visible(visible=scripts)
    auditor.page.goto("/console/journal")
    auditor.link("The last verification").click()
    expect(auditor.page.get_by_role("status")).to_contain_text("Nothing has been changed")
    auditor.page.emulate_media(media="print")
    expect(auditor.button("Verify all of it again")).to_be_hidden()
    expect(auditor.page.get_by_text("Hash of the last entry")).to_be_visible()


def test_a_user_takes_a_new_password_and_other_sessions_end(visit, service):
    """By a double click: the second one finds that it is done already."""
    own, other = visit(), visit()
    for person in (own, other):
        person.signs_in("supervisor", service.passwords["supervisor"])
    own.page.get_by_role("link", name="supervisor · Supervisor").click()
    own.reads("Your account")
    assert own.page.get_by_role("row").count() >= 3, "the head, and these two; other tests may have left some"
    new = own.field("New password").input_value()
    assert re.fullmatch(r"(\w{5}-){3}\w{5}", new)
    own.field("Old password").fill(service.passwords["supervisor"])
    own.button("Take the new password").dblclick()
    expect(own.page.get_by_role("status")).to_contain_text("Your password is changed")
    service.passwords["supervisor"] = new
    expect(own.page.get_by_role("row")).to_have_count(2)
    other.page.goto("/console/open")
    assert other.is_stranger()
    other.signs_in("supervisor", new)
    own.page.reload()
    own.button("End all others").click()
    expect(own.page.get_by_role("status")).to_contain_text("The sessions have ended.")
    other.page.reload()
    assert other.is_stranger()

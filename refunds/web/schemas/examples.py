"""The examples in the API document, some of which several operations share."""

from collections.abc import Mapping
from typing import Any

Example = Mapping[str, Any]
A_CLIENT, A_USER = "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF", "usr_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"
A_CUSTOMER, AN_ORDER = "cus_01KAN3Y7KZ8Q4T8Z2B6C9D1EFG", "A-1001"
A_CONTACT = "con_01KAN3Y7N2V5Q4T8Z2B6C9D1EF"
"""The ids in the examples."""

SHARED: dict[str, Example] = {}
"""The shared examples, by name; filled as the schemas are declared."""


def example(name: str, summary: str, value: Any) -> dict[str, Example]:
    """Return a mapping of the name to an example of this value; join several mappings by `|`."""
    return {name: {"summary": summary, "value": value}}


def shared(examples: Mapping[str, Example]) -> dict[str, Example]:
    """Add new examples to `SHARED`, and return a reference to each by name; a name that is there already is a mistake.

    The document has each shared example once, as a component under its name.
    """
    assert not SHARED.keys() & examples.keys()
    SHARED.update(examples)
    return {name: {"$ref": f"#/components/examples/{name}"} for name in examples}

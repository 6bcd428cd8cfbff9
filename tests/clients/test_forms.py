"""The OpenAPI document has no name and no form that breaks a generated client or leaves its author guessing."""

import re

import pytest

from tests.conftest import ROOT, openapi

TEXT = (ROOT / "openapi.yaml").read_text()
DOCUMENT = openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS = {
    operation["operationId"]: (method, operation)
    for methods in DOCUMENT["paths"].values()
    for method, operation in methods.items()
    if method in METHODS
}

RESERVED = {
    word.lower()
    for words in (
        # Go
        "break case chan const continue default defer else fallthrough for func go goto if import interface map package",
        "range return select struct switch type var any bool byte error int make new nil print string true false rune",
        # Java
        "abstract assert boolean catch char class do double enum extends final finally float implements instanceof long",
        "native null private protected public record sealed short static super synchronized this throw throws transient",
        "try void volatile while yield Integer List Object Optional Exception Override Set Thread",
        # TypeScript
        "async await constructor declare delete export from function in infer is keyof let module namespace never number",
        "of readonly require satisfies symbol typeof undefined unique unknown with Array Blob Date Event File Headers",
        "Promise Request Response",
        # Python
        "and as bytes def del dict elif except global lambda match none nonlocal not or pass raise tuple",
    )
    for word in words.split()
}
"""Words that a language reserves, and its own types that every program uses."""

MADE = {
    word
    for words in (
        "AbstractOpenApiSchema ApiCallback ApiClient ApiException ApiKeyAuth ApiResponse ApiTypeError ApiValueError",
        "AuthenticatedClient Authentication BaseModel BasicAuth Client Configuration ContextKey Enum Field",
        "GenericOpenAPIError HTTPStatus HTTPValidationError Items JSON JsonNullable MappedNullable Model Pair",
        "OpenApiException RESTResponse RootModel ServerConfiguration ServerConfigurations ServerVariable StringUtil Unset",
    )
    for word in words.split()
}
"""Names that the generators give to what they make beside the models."""

MADE_UP = re.compile(r"(AllOf|AnyOf|OneOf|Inner|Enum|\d)$|^(Nullable|Model|Api)")
"""How the generators name what has no name of its own."""


def parts(node, place=()):
    """Every mapping in a part of the document with its place, without the examples, which are data."""
    if isinstance(node, dict):
        yield place, node
        for name, part in node.items():
            if name not in {"example", "examples"}:
                yield from parts(part, (*place, name))
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from parts(part, (*place, index))


def target(reference):
    """The part of the document that a reference names."""
    node = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def answered():
    """Every mapping in a response or in a schema that a response uses, with its place."""
    waiting = [parts(operation["responses"], (name,)) for name, (_, operation) in OPERATIONS.items()]
    known = set()
    while waiting:
        for place, part in waiting.pop():
            yield place, part
            reference = part.get("$ref", "")
            if reference and reference not in known:
                known.add(reference)
                waiting.append(parts(target(reference), (reference,)))


def test_no_schema_has_a_name_that_a_language_reserves_or_a_generator_makes():
    lowered = [name.lower() for name in SCHEMAS]
    assert not set(lowered) & RESERVED
    assert not set(SCHEMAS) & MADE
    assert not [name for name in SCHEMAS if MADE_UP.search(name) or not re.fullmatch(r"[A-Z][A-Za-z]+", name)]
    assert len(set(lowered)) == len(lowered)


def test_every_operation_has_its_own_name_and_no_reserved_one():
    names = re.findall(r"^      operationId: (\w+)$", TEXT, re.MULTILINE)
    assert len({name.lower() for name in names}) == len(names) == len(OPERATIONS)
    assert not {name.lower() for name in names} & RESERVED


def test_every_reference_leads_somewhere():
    for _, part in parts(DOCUMENT):
        if "$ref" in part:
            target(part["$ref"])


def test_objects_and_choices_in_answers_have_names():
    for place, part in answered():
        if isinstance(part.get("type"), str | list) and "properties" in part:
            assert part in SCHEMAS.values(), place
        if "oneOf" in part:
            assert part in SCHEMAS.values(), place
            assert all(set(choice) == {"$ref"} for choice in part["oneOf"]), place


def test_only_null_is_an_alternative_to_a_named_object():
    for place, part in parts(DOCUMENT):
        if isinstance(part.get("anyOf"), list):
            kinds = [choice.get("type", "$ref" in choice) for choice in part["anyOf"]]
            assert kinds == [True, "null"], place
        assert not (isinstance(part.get("allOf"), list) and len(part["allOf"]) > 1), place


def test_answers_are_open_and_requests_are_closed():
    for place, part in answered():
        assert part.get("additionalProperties") is not False, place
    for name, (_, operation) in OPERATIONS.items():
        if "requestBody" in operation:
            (media,) = operation["requestBody"]["content"].values()
            assert target(media["schema"]["$ref"])["additionalProperties"] is False, name


def test_every_schema_says_what_it_is():
    for place, part in parts(DOCUMENT):
        kinds = part.get("type")
        if "enum" in part and place[-1] != "properties":
            assert kinds in ("string", ["string", "null"]), place
            assert (None in part["enum"]) is (kinds != "string"), place
        if kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds):
            assert part.get("format") in {"int32", "int64"}, place
        if kinds == "array":
            assert part["items"], place


def test_the_members_of_lists_of_codes_have_a_name():
    """The list of an enumeration without one does not compile in Java."""
    for place, part in parts(DOCUMENT):
        assert not ("enum" in part and place[-1] == "items"), place


def test_every_choice_by_a_field_maps_each_of_its_values():
    found = [part for _, part in parts(SCHEMAS) if isinstance(part.get("discriminator"), dict)]
    assert found
    for part in found:
        field, mapping = part["discriminator"]["propertyName"], part["discriminator"]["mapping"]
        assert [choice["$ref"] for choice in part["oneOf"]] == list(mapping.values())
        for value, reference in mapping.items():
            schema = target(reference)
            assert schema["properties"][field]["const"] == value
            assert field in schema["required"]


def test_each_problem_is_described_once():
    for name, (_, operation) in OPERATIONS.items():
        for status, response in operation["responses"].items():
            # A conflict has its own form where it says more than a problem.
            if status >= "400" and status != "409":
                assert "$ref" in response, (name, status)


@pytest.mark.parametrize("operation_id", [name for name, (method, _) in OPERATIONS.items() if method != "get"])
def test_every_write_says_what_it_records(operation_id):
    description = OPERATIONS[operation_id][1]["description"]
    assert re.search(r"\b(Records|records nothing)\b", description)
    named = re.findall(r"`([a-z]+\.[a-z_]+)`", description)
    assert set(named) <= set(SCHEMAS["FeedItem"]["discriminator"]["mapping"])
    assert ("Read-only" in description) is not named


def test_an_operation_fits_on_three_screens():
    paths = TEXT[TEXT.index("\npaths:") : TEXT.index("\ncomponents:")]
    for operation in re.split(r"\n(?=    (?:get|post|put|patch|delete):\n)", paths)[1:]:
        lines = re.split(r"\n  /", operation)[0].splitlines()
        assert len(lines) <= 195, lines[:3]

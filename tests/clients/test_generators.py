"""Clients by more generators: as an integrator makes them, compiled where there is a compiler, and run.

Each cancels an order, begins its refund, settles it and reads the feed. They take a minute or two: `make proofs`.
"""

import importlib.util
import json
import os
import re
import shutil
import sys
import urllib.request
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from tests.clients import BIN, DOCUMENT, HERE, assert_cancelled, run
from tests.clients.compilers import compiler
from tests.conftest import openapi

pytestmark = pytest.mark.proof

EXPECTED = {
    "OpenAPI 3.1 support is still in beta",
    "Failed to get the schema name: null",  # of a text, as the body of a page
    "Codegen property is null",  # an object with any content
    "Ignoring complex example on request body",
    "From (reserved word) cannot be used as model name",  # the parameter, of which no model is made
}
"""What openapi-generator always warns about with a document like this one."""


def generated(language, directory, **options):
    """Generate a client with openapi-generator, which may warn only about what is expected; return its files."""
    given = ",".join(f"{name}={value}" for name, value in options.items())
    words = ["generate", "-i", DOCUMENT, "-g", language, "-o", directory, "-p", given]
    library = ["--library", "native"] if language == "java" else []
    output, errors = run(BIN / "openapi-generator-cli", *words, *library)
    warned = [line for line in (output + errors).splitlines() if re.search(r"\b(WARN|ERROR)\b", line)]
    assert not [line for line in warned if not any(known in line for known in EXPECTED)]
    return directory


def compiled_by(program, word):
    """How far a client is tested: the version of its compiler, if there is one."""
    return f"compiled by {run(program, word)[0].strip()}" if program else "names alone, for want of a compiler"


def assert_well_named(names):
    """Assert that each schema of the document is one type, under its own name, and that no other one was made up."""
    schemas = openapi()["components"]["schemas"]
    twice = [name for name, times in Counter(map(str.lower, names)).items() if times > 1]
    assert not twice
    assert set(names) <= set(schemas)
    # An object with any content or none is a plain map.
    missing = {name for name in set(schemas) - set(names) if schemas[name].get("properties", "oneOf" in schemas[name])}
    assert not missing


def test_the_python_client_of_openapi_generator_cancels_an_order(service, tmp_path):
    client = generated("python", tmp_path / "client", packageName="refunds_api")
    models = "\n".join(path.read_text() for path in client.glob("refunds_api/models/*.py"))
    assert_well_named(re.findall(r"^class (\w+)\((?:BaseModel|str, Enum)\)", models, re.MULTILINE))
    run(sys.executable, "-W", "error", "-m", "compileall", "-q", client / "refunds_api")
    output, _ = run(
        sys.executable, HERE / "cancel_by_openapi_generator.py", *service, PYTHONPATH=str(client), no_proxy="127.0.0.1"
    )
    assert_cancelled(json.loads(output), "A-openapi-generator")


def test_the_go_client_cancels_an_order(service, tmp_path, record_property):
    """Its types are in one package, so a name that is made twice does not compile."""
    home = tmp_path / "src"
    as_described = {"disallowAdditionalPropertiesIfNotPresent": "false", "useOneOfDiscriminatorLookup": "true"}
    client = generated("go", home / "refunds", packageName="refunds", **as_described)
    shutil.rmtree(client / "test")  # wants a library for tests
    text = "\n".join(path.read_text() for path in client.glob("*.go"))
    assert_well_named(re.findall(r"^// (\w+) (?:struct for|the model|- struct)", text, re.MULTILINE))
    made = re.findall(r"^type (\w+)", text, re.MULTILINE)
    assert len(set(made)) == len(made)
    go = compiler("go", "golang-go")
    record_property("measured", f"Go client: {compiled_by(go, 'version')}")
    if go is None:
        return
    # The one module that it imports only checks patterns, and is not to be had everywhere.
    validator = home / "gopkg.in/validator.v2"
    validator.mkdir(parents=True)
    (validator / "validator.go").write_text(
        "package validator\n\nfunc Validate(any interface{}) error { return nil }\n"
    )
    (home / "cancel").mkdir()
    shutil.copy(HERE / "cancel.go", home / "cancel")
    own = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(tmp_path), "GOCACHE": str(tmp_path / "cache")}
    run(go, "vet", "refunds", "cancel", cwd=home, **own)
    run(go, "build", "-o", tmp_path / "program", "cancel", cwd=home, **own)
    output, _ = run(tmp_path / "program", *service, no_proxy="127.0.0.1")
    assert_cancelled(json.loads(output), "A-go")


def test_the_java_client_cancels_an_order(service, tmp_path, record_property):
    """The libraries that it needs are in the generator's own archive."""
    packages = {"invokerPackage": "refunds", "apiPackage": "refunds.api", "modelPackage": "refunds.model"}
    plain = {"openApiNullable": "false", "hideGenerationTimestamp": "true"}
    client = generated("java", tmp_path / "client", **plain, **packages) / "src/main/java"
    made = [path.stem for path in client.glob("refunds/model/*.java")]
    assert_well_named([name for name in made if name != "AbstractOpenApiSchema"])
    javac = compiler("javac", "default-jdk-headless")
    record_property("measured", f"Java client: {compiled_by(javac, '-version')}")
    if javac is None:
        return
    annotation = client / "javax/annotation/Generated.java"  # Java had it until version 8
    annotation.parent.mkdir(parents=True)
    annotation.write_text(
        'package javax.annotation;\npublic @interface Generated { String value(); String comments() default ""; }\n'
    )
    shutil.copy(HERE / "Cancel.java", client)
    archive = files("openapi_generator_cli") / "openapi-generator.jar"
    run(javac, "-nowarn", "-proc:none", "-d", tmp_path, "-cp", archive, *client.rglob("*.java"))
    java = Path(javac).resolve().with_name("java")
    output, _ = run(java, "-cp", f"{archive}{os.pathsep}{tmp_path}", "Cancel", *service)
    assert_cancelled(json.loads(output), "A-java")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The pydantic models that datamodel-code-generator makes, without a warning."""
    file = tmp_path_factory.mktemp("models") / "refunds_models.py"
    kind = ["--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"]
    _, warnings = run(BIN / "datamodel-codegen", "--input", DOCUMENT, *kind, "--output", file)
    assert warnings == ""
    spec = importlib.util.spec_from_file_location("refunds_models", file)
    made = sys.modules["refunds_models"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    yield made
    del sys.modules["refunds_models"]


def answer(service, path, method="GET", body=None):
    """The data of a response of the running service."""
    address, token = service
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "pydantic"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(address + path, data, sent, method=method)  # noqa: S310 - always HTTP
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        return json.load(response)


def extended(data):
    """The data with one more field in each object."""
    if isinstance(data, list):
        return [extended(part) for part in data]
    if not isinstance(data, dict):
        return data
    return {name: extended(part) for name, part in data.items()} | {"added_later": {"by": ["us"]}}


def test_pydantic_models_read_answers_and_those_with_more_fields(service, models):
    facts = {"customer_ref": "C-1", "service_provided_at": None, "region": "DE-BY"}
    contact = {"channel": "phone", "intent": "question"}
    answers = {
        "Order": answer(service, "/v1/orders/A-pydantic", "PUT", facts),
        "OrderDecision": answer(service, "/v1/orders/A-pydantic/eligibility"),
        "Contact": answer(service, "/v1/orders/A-pydantic/contacts", "POST", contact),
        "PolicyVersion": answer(service, "/v1/policies/virtual-numbers/versions/1"),
        "Feed": answer(service, "/v1/events"),
        "Me": answer(service, "/v1/me"),
    }
    for name, data in answers.items():
        model = getattr(models, name)
        assert json.loads(model.model_validate(data).model_dump_json(exclude_unset=True)).keys() == data.keys(), name
        model.model_validate(extended(data))
    assert models.Order.model_validate(answers["Order"]).customer_ref == "C-1"


def _any_value(schema):
    """A value of the type of a field."""
    by_format = {"date-time": "2026-11-28T21:14:07Z", "date": "2026-11-28"}
    by_type = {"integer": 1, "object": {}, "array": []}
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]  # else it may be null
    return by_type.get(kind, by_format.get(schema.get("format"), "x"))


def test_pydantic_models_tell_every_event_by_its_type(models):
    components = openapi()["components"]
    mapping = components["schemas"]["FeedItem"]["discriminator"]["mapping"]
    page = components["examples"]["order.registered"]["value"]
    for event, reference in mapping.items():
        name = reference.rpartition("/")[2]
        shown = components["examples"].get(event)
        schema = components["schemas"][name.replace("Event", "Data")]
        data = {field: _any_value(schema["properties"][field]) for field in schema.get("required", ())}
        item = shown["value"]["items"][0] if shown else page["items"][0] | {"type": event, "data": data}
        feed = models.Feed.model_validate(page | {"items": [item]})
        assert type(feed.items[0].root).__name__ == name
        assert feed.items[0].root.type == event

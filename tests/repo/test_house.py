"""The house: who imports whom, where each library lives, how long things are."""

import ast
import re
import statistics
import sys
from collections import defaultdict

from tests.conftest import ROOT

PACKAGE = ROOT / "refunds"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top: each room may import from the lines below its own (and from itself).
ROOMS = [
    {"web", "cli"},
    {"presentation"},
    {"service"},
    {"storage"},
    {"schemas"},
    {"domain"},
    {"security", "config"},
    {"errors"},
]

HOMES = {
    "flask": {"web", "cli"},
    "apispec": {"web"},
    "yaml": {"web"},
    "werkzeug": {"web"},
    "orjson": {"web", "cli", "presentation", "service", "storage", "domain"},
    "sqlite_utils": {"storage"},
    "psycopg": {"storage"},
    "psycopg_pool": {"storage"},
    "argon2": {"security"},
    "cryptography": {"security"},
    "ulid": {"storage", "service"},
    "stdnum": {"domain"},
    "structlog": {"web"},
    "prometheus_client": {"web"},
    "marshmallow": {"schemas", "web", "config"},
    "holidays": {"domain"},
    "cachetools": {"domain"},
    "tomli_w": {"schemas"},
    "tzdata": {"domain"},
    "phonenumbers": {"domain"},
    "email_validator": {"domain"},
    "babel": {"presentation"},
    "jinja2": {"presentation", "web"},
    "markupsafe": {"presentation"},
    "flask_wtf": {"web"},
    "wtforms": {"web"},
    "itsdangerous": {"web"},
    "environs": {"config"},
    "click": {"cli"},
    "rich": {"cli"},
    "granian": {"cli"},
}


def room(path):
    """The room that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """The modules that a file imports, in full."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module
            if node.module == "refunds":
                yield from (f"refunds.{alias.name}" for alias in node.names)


def level(name):
    """How high a room lies; 0 is the top."""
    return next(i for i, rooms in enumerate(ROOMS) if name in rooms)


def test_every_room_is_on_the_map():
    on_disk = {room(path) for path in FILES} - {"__init__"}
    assert on_disk == set.union(*ROOMS)
    map_of_the_package = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text()))
    drawn = [
        set(re.findall(r"\w+", line))
        for line in map_of_the_package.rpartition("holds it):")[2].split("\n")
        if line.strip()
    ]
    assert drawn == ROOMS


def test_rooms_import_only_from_below():
    for path in FILES:
        here = room(path)
        if here == "__init__":
            continue
        for module in imports(path):
            if module.startswith("refunds."):
                there = module.split(".")[1]
                assert there == here or level(there) > level(here), f"{path} imports {module}"


def test_each_library_has_its_home():
    used = defaultdict(set)
    for path in FILES:
        for module in imports(path):
            library = module.partition(".")[0]
            if library not in sys.stdlib_module_names and library != "refunds":
                used[library].add(room(path))
    assert set(used) == set(HOMES)
    assert not any(rooms - HOMES[library] for library, rooms in used.items())


def test_only_one_file_imports_the_holiday_data():
    assert [path.name for path in FILES if "holidays" in {name.partition(".")[0] for name in imports(path)}] == [
        "holidays_data.py"
    ]


def functions(path):
    """The functions of a file with their lengths in lines, their docstrings aside."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            documented = bool(ast.get_docstring(node))
            words = node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0
            yield node.name, node.end_lineno - node.lineno + 1 - words


def test_functions_and_files_stay_small():
    lengths = [(length, path.name, name) for path in FILES for name, length in functions(path)]
    plain = sorted(length for length, *_ in lengths)
    assert statistics.median(plain) <= 6
    assert plain[int(len(plain) * 0.9)] <= 17
    assert max(lengths)[0] <= 45, max(lengths)
    assert all(len(path.read_text().splitlines()) <= 400 for path in FILES)

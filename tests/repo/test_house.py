"""The structure of the package: which part imports which, where each library is used, how long functions and files are."""

import ast
import re
import statistics
import sys
from collections import defaultdict

from tests.conftest import ROOT

PACKAGE = ROOT / "refunds"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top: each layer may import from those below it (and from itself).
LAYERS = [
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
    "ulid": {"storage"},
    "stdnum": {"domain"},
    "structlog": {"web"},
    "prometheus_client": {"web"},
    "marshmallow": {"schemas", "web", "config"},
    "holidays": {"domain"},
    "pycountry": {"domain"},
    "cachetools": {"domain"},
    "tomli_w": {"schemas"},
    "tzdata": {"domain"},
    "phonenumbers": {"domain"},
    "email_validator": {"domain"},
    "babel": {"presentation"},
    "jinja2": {"presentation", "web"},
    "markupsafe": {"presentation", "web"},
    "flask_wtf": {"web"},
    "wtforms": {"web"},
    "itsdangerous": {"web"},
    "environs": {"config"},
    "click": {"cli"},
    "rich": {"cli"},
    "granian": {"cli"},
    "pyarrow": {"presentation"},
}


def part_of(path):
    """The part of the package that a file belongs to."""
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
    """The layer of a part; 0 is the top."""
    return next(i for i, parts in enumerate(LAYERS) if name in parts)


def test_every_part_is_on_the_map():
    on_disk = {part_of(path) for path in FILES} - {"__init__"}
    assert on_disk == set.union(*LAYERS)
    map_of_the_package = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text()))
    drawn = [
        set(re.findall(r"\w+", line))
        for line in map_of_the_package.rpartition("holds it):")[2].split("\n")
        if line.strip()
    ]
    assert drawn == LAYERS


def test_parts_import_only_from_lower_layers():
    for path in FILES:
        here = part_of(path)
        if here == "__init__":
            continue
        for module in imports(path):
            if module.startswith("refunds."):
                there = module.split(".")[1]
                assert there == here or level(there) > level(here), f"{path} imports {module}"


def test_each_library_is_used_only_where_it_belongs():
    used = defaultdict(set)
    for path in FILES:
        for module in imports(path):
            library = module.partition(".")[0]
            if library not in sys.stdlib_module_names and library != "refunds":
                used[library].add(part_of(path))
    assert set(used) == set(HOMES)
    assert not any(parts - HOMES[library] for library, parts in used.items())


def test_only_two_files_import_the_holiday_data():
    importing = [path.name for path in FILES if "holidays" in {name.partition(".")[0] for name in imports(path)}]
    assert sorted(importing) == ["holidays_data.py", "regions.py"]


def functions(path):
    """The functions of a file with their lengths in lines, without docstrings."""
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

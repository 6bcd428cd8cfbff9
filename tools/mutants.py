"""Tries the tests on mutants of the decision core: `python -m tools.mutants [MODULE]`; it fails if a new one survives.

The mutants are cosmic-ray's, but for those that compare by identity. Each is tried in a fork of this process that loads
its module from the changed text, so that no file is changed. `mutants.toml` has the survivors that are known, with the
reason why no test kills them.
"""

import ast
import atexit
import difflib
import importlib
import json
import os
import resource
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parent.parent
KNOWN = Path(__file__).with_name("mutants.toml")

MODULES = ("business_days", "eligibility", "judging", "policy")
"""Modules of `refunds.domain`."""

FIRST = {
    "business_days": "tests/unit/test_business_days.py",
    "eligibility": "tests/unit/test_eligibility.py",
    "judging": "tests/unit/test_closures.py",
    "policy": "tests/unit/test_policy.py",
}
"""The tests that kill most mutants of each module."""

TESTS = (
    *FIRST.values(),
    "tests/unit/test_promises.py",
    "tests/unit/test_day_rules.py",
    "tests/properties/test_every_pattern.py",
    "tests/properties/test_table.py",
    "tests/properties/test_told_ends.py::test_an_end_that_was_told_never_goes_back",
)
"""Quick tests of the core; the first that fails kills a mutant."""

VECTORS = ROOT / "tests/unit/business-day-vectors.json"

OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")
WORKERS = 2
PATIENCE = 90
"""Seconds of the processor after which a mutant that does not end counts as killed."""

MEMORY = 4 * 2**30


class Mutant(NamedTuple):
    """A changed text of a module: a line in a function, and what it becomes; `is_called`: it runs when that is called.

    What runs when the module is imported, or never because it is an annotation, is not.
    """

    module: str
    function: str
    line: str
    becomes: str
    is_called: bool
    number: int
    text: str

    @property
    def key(self):
        """What the table of the known ones has of it."""
        return self.module, self.function, self.line, self.becomes


def mutants_of(module) -> Iterator[Mutant]:
    """The mutants of a module of the domain, each text once."""
    text = path_of(module).read_text()
    tree, seen = ast.parse(text), set()
    nodes = list(ast_nodes(get_ast(text)))
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or (name.endswith(("_Is", "_IsNot")) and not name.endswith(("Is_IsNot", "IsNot_Is"))):
            continue
        positions = [start for node in nodes for start, _ in operator().mutation_positions(node)]
        for occurrence, (number, column) in enumerate(positions):
            changed = mutate_code(text, operator(), occurrence)
            if changed is None or changed in seen:
                continue
            seen.add(changed)
            function, is_called = place(tree, number, column)
            yield Mutant(module, function, *first_change(text, changed), is_called, number, changed)


def path_of(module):
    """The file of a module of the domain."""
    return ROOT / "refunds/domain" / f"{module}.py"


def first_change(before, after):
    """The first line of a text that is another one in a later text, and that."""
    matching = difflib.SequenceMatcher(None, (old := before.splitlines()), (new := after.splitlines()), autojunk=False)
    _, start, end, new_start, new_end = next(change for change in matching.get_opcodes() if change[0] != "equal")
    return " ".join(" ".join(old[start:end]).split()), " ".join(" ".join(new[new_start:new_end]).split())


def place(tree, number, column):
    """The name of the function around a position, and whether the code there runs when that is called."""
    names, is_called = [], False
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and contains(child, number, column):
                    is_annotation = name in {"annotation", "returns"}
                    is_body = name == "body" and isinstance(node, ast.FunctionDef | ast.Lambda)
                    is_called = (is_called or is_body) and not is_annotation
                    nodes.append(child)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    return ".".join(names), is_called


def contains(node, number, column):
    """Whether a position is in the source of a node; the arguments of a function have no source of their own."""
    if not hasattr(node, "lineno"):
        return isinstance(node, ast.arguments) and any(
            contains(child, number, column) for child in ast.iter_child_nodes(node)
        )
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    return (
        (first, node.col_offset if first == node.lineno else 0)
        <= (number, column)
        < (
            node.end_lineno,
            node.end_col_offset,
        )
    )


class Mutated(MetaPathFinder, Loader):
    """Loads one module from a changed text."""

    def __init__(self, mutant):
        self._name = f"refunds.domain.{mutant.module}"
        self._path = str(path_of(mutant.module))
        self._text = mutant.text

    def find_spec(self, name, *_):
        """The spec of that module; None for any other."""
        return spec_from_loader(name, self, origin=self._path) if name == self._name else None

    def exec_module(self, module):
        """Run the changed text as the module."""
        exec(compile(self._text, self._path, "exec"), module.__dict__)  # noqa: S102 - that is what it is for


def forked(mutant, modules=None):
    """The number of a process that runs the tests on a mutant, or on none; it ends with 0 if they pass.

    If `modules` is a file, it writes to it what was imported, but for the product and its tests.
    """
    if pid := os.fork():
        return pid
    code = 1
    try:
        atexit._clear()  # what is of the parent
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        signal.signal(signal.SIGPROF, late)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if mutant:
            if f"refunds.domain.{mutant.module}" in sys.modules:  # what depends on it is to be loaded again
                for name in [name for name in sys.modules if name.partition(".")[0] == "refunds"]:
                    del sys.modules[name]
            sys.meta_path.insert(0, Mutated(mutant))
        first, ended = FIRST[mutant.module] if mutant else None, 0
        for tests in ([first], [test for test in TESTS if test != first]) if first else (TESTS,):
            ended = ended or pytest.main([*OPTIONS, *tests])
        if modules:
            others = [name for name in sys.modules if name.partition(".")[0] not in {"refunds", "tests", "__main__"}]
            modules.write_text(json.dumps(others))
        atexit._run_exitfuncs()  # the directories of the tests
        code = int(ended)
    finally:
        os._exit(code)


def late(*_):
    """End a test that takes too long."""
    raise TimeoutError


def survivors(mutants):
    """The mutants that no test kills, of which it prints how many it has tried."""
    found, running, waiting = [], {}, list(mutants)
    total = len(waiting)
    while waiting or running:
        while waiting and len(running) < WORKERS:
            mutant = waiting.pop(0)
            running[forked(mutant)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if status == 0:
            found.append(mutant)
            print(f"survived: {mutant.module}.py:{mutant.number}: {mutant.line}  ->  {mutant.becomes}", flush=True)
        if (tried := total - len(waiting) - len(running)) % 100 == 0:
            print(f"{tried} of {total} tried", flush=True)
    return found


def prepared(directory):
    """Run the tests on no mutant, and import here what they import, so that forks need not. Returns the seconds.

    Builds the calendars of the vectors, too, which take most of the time of the tests.
    """
    names = directory / f"imported-{os.getpid()}.json"
    began = time.monotonic()
    _, status = os.waitpid(forked(None, names), 0)
    seconds = time.monotonic() - began
    if status:
        sys.exit("The tests fail without a mutant.")
    for name in json.loads(names.read_text()):
        with suppress(Exception):
            importlib.import_module(name)
    names.unlink()
    calendars = importlib.import_module("refunds.domain.holidays_data")
    for case in json.loads(VECTORS.read_text())["cases"]:
        place = "-".join(filter(None, (case["country"], case["subdivision"])))
        calendars.business_calendar(place, "country")
    return seconds


def known_survivors(modules):
    """The keys of the mutants in modules that are known to survive."""
    groups = tomllib.loads(KNOWN.read_text()).get("survivors", ()) if KNOWN.exists() else ()
    return {
        (group["module"], group["function"], line, becomes)
        for group in groups
        for line, becomes in group["mutants"]
        if group["module"] in modules
    }


def table(mutants, found):
    """How many mutants there are and how many were killed, by module: of all, and of those that run when called."""
    tried, left = Counter(), Counter()
    for counted, ones in ((tried, mutants), (left, found)):
        for mutant in ones:
            counted.update((name, kind) for name in (mutant.module, "all") for kind in {"all", mutant.is_called})
    yield "| module | mutants | killed | that run when called | killed |\n| --- | --- | --- | --- | --- |"
    for name in dict.fromkeys([*(mutant.module for mutant in mutants), "all"]):
        cells = [name]
        for kind in ("all", True):
            killed = tried[name, kind] - left[name, kind]
            cells += [tried[name, kind], f"{killed} ({killed / tried[name, kind]:.1%})"]
        yield f"| {' | '.join(map(str, cells))} |"


def listed(mutants):
    """Survivors as `mutants.toml` has them, without the reason."""
    ordered = sorted(mutants, key=lambda mutant: (mutant.module, mutant.number))
    for (module, function), group in groupby(ordered, key=lambda mutant: (mutant.module, mutant.function)):
        yield f'[[survivors]]\nmodule = "{module}"\nfunction = "{function}"\nwhy = ""\nmutants = ['
        yield from (f"  [{json.dumps(mutant.line)}, {json.dumps(mutant.becomes)}]," for mutant in group)
        yield "]\n"


def main(modules):
    """Try the mutants of modules, and print what survives. Returns whether all that do are known."""
    os.chdir(ROOT)
    os.environ["CI"] = "1"  # the same random cases each time
    with TemporaryDirectory() as directory:
        print(f"The tests take {prepared(Path(directory)):.0f} s without a mutant.", flush=True)
    mutants = [mutant for module in modules for mutant in mutants_of(module)]
    found = survivors(mutants)
    print("", *table(mutants, found), "", sep="\n")
    known = known_survivors(modules)
    for key in sorted(known - {mutant.key for mutant in found}):
        print("no survivor any more, to be removed from mutants.toml:", *key)
    new = [mutant for mutant in found if mutant.key not in known]
    if new:
        print("New survivors: kill them with a test, or add the reason why none can to mutants.toml.", "", sep="\n")
        print(*listed(new), sep="\n")
    return not new


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or MODULES))

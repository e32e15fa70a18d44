"""The bounds of the house, measured: sizes, complexity, names, heads, cycles, and what must never be committed.

They are there to start a conversation about shape; a bound met by cutting a thing in two arbitrary halves is not met.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "arkwright"
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
COMPLEXITY_MAX = 10
COMPLEXITY_MAX_WITH_REASON = 15
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}
TEXT_SUFFIXES = {
    ".py",
    ".pyi",
    ".pyx",
    ".pxd",
    ".h",
    ".md",
    ".sql",
    ".toml",
    ".txt",
    ".in",
    ".lock",
    ".yml",
    ".yaml",
    ".cfg",
    ".html",
    ".js",
    ".css",
    "",
}
# A home or a workplace of whoever wrote it, or a package registry that only they can reach.
FOREIGN = re.compile(
    r"(?<![\w.])/(?:home|Users|root|work)/(?!someone\b|you\b)[a-z0-9_]"
    r"|--(?:extra-)?index-url[ =]+\S*//|https?://[^\s\"')]*/(?:simple|pypi)/",
    re.IGNORECASE,
)
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files() -> list[Path]:
    return sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def native_files(*suffixes: str) -> list[Path]:
    return sorted(path for path in SOURCE.rglob("_*") if path.suffix in suffixes)


def committed_files() -> list[Path]:
    """As git has them; in a copy without git, what a source archive holds."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return [*python_files(), *ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile"]


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def complexity(function: Function) -> int:
    """McCabe's count, as the linter has it; a nested function counts for itself alone."""
    count, todo = 1, list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Match):
            count += len(node.cases) - 1
        count += isinstance(node, _BRANCHES)
        todo.extend(ast.iter_child_nodes(node))
    return count


def length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_no_file_is_longer_than_a_person_reads() -> None:
    files = [*python_files(), *native_files(".pyx", ".pxd", ".h")]
    long = [(path, len(path.read_text().splitlines())) for path in files]
    report([f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in long if lines > FILE_LINES_MAX])


def test_no_function_is_longer_than_a_screen() -> None:
    report(
        [
            f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {length(function)} lines"
            for path in python_files()
            for function in functions(ast.parse(path.read_text()))
            if length(function) > FUNCTION_LINES_MAX
        ]
    )


def test_no_function_branches_more_than_a_head_holds() -> None:
    found = []
    for path in python_files():
        text = path.read_text()
        lines = text.splitlines()
        for function in functions(ast.parse(text)):
            reasoned = "# complexity: " in lines[function.lineno - 1] + lines[max(0, function.lineno - 2)]
            allowed = COMPLEXITY_MAX_WITH_REASON if reasoned else COMPLEXITY_MAX
            if complexity(function) > allowed:
                found.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {complexity(function)}")
    report(found)


def test_every_module_is_named_for_what_it_is() -> None:
    found = [path for path in python_files() if BANNED_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)]
    report([str(path.relative_to(ROOT)) for path in found])


def test_every_file_says_at_its_head_what_it_is_for() -> None:
    report(
        [
            str(path.relative_to(ROOT))
            for path in python_files()
            if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
        ]
    )


def test_every_native_file_says_at_its_head_what_it_is_for() -> None:
    """After the directives: a docstring in Cython, a comment in C."""
    found = []
    for path in native_files(".pyx", ".pxd", ".h"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# cython:")]
        if not lines[0].startswith(('"""', "/*")):
            found.append(str(path.relative_to(ROOT)))
    report(found)


def test_every_native_module_is_declared_and_has_its_types() -> None:
    """Beside each `.pyx` lies the `.pyi` that the type checker reads; it names what the module offers to Python."""
    found = []
    for path in native_files(".pyx"):
        stub = path.with_suffix(".pyi")
        if not stub.exists():
            found.append(f"{path.relative_to(ROOT)} has no .pyi beside it")
            continue
        declared_there = path.with_suffix(".pxd")
        text = path.read_text() + (declared_there.read_text() if declared_there.exists() else "")
        offered = set(re.findall(r"^(?:def|cpdef|cdef class|class) (?:[\w ]+ )?([a-zA-Z]\w*)[(:]", text, re.M))
        declared = {node.name for node in ast.parse(stub.read_text()).body if isinstance(node, Function | ast.ClassDef)}
        if declared - offered:
            found.append(
                f"{stub.relative_to(ROOT)} declares {', '.join(sorted(declared - offered))}, which is not there"
            )
    report(found)


def test_no_import_runs_in_a_circle() -> None:
    modules = {_module(path): path for path in SOURCE.rglob("*.py")}
    imports = {name: _imported(path, name, set(modules)) for name, path in modules.items()}
    done: set[str] = set()
    for name in imports:
        _walk(name, imports, [], done)


def test_only_commands_print() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if path.is_relative_to(SOURCE / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    report(found)


def test_only_three_places_catch_everything() -> None:
    """The connection, the job, the reconcile loop: each says `# broad: ` and why."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and "# broad: " not in lines[node.lineno - 1]:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    report(found)


def test_nothing_of_anyone_s_machine_is_committed() -> None:
    found = []
    for path in committed_files():
        if path.suffix not in TEXT_SUFFIXES or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FOREIGN.search(line) and "tidy: allow" not in line:
                found.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}")
    report(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(): return 1", 1),
        ("def f(a, b):\n if a and b or a: return 1\n for x in a: pass", 3),
        ("def f(a):\n try: pass\n except OSError: pass\n return [x for x in a if x]", 3),
        ("def f(a):\n def g():\n  if a: pass\n return g", 1),
    ],
)
def test_the_measure_of_complexity(source: str, expected: int) -> None:
    (function, *_) = functions(ast.parse(source))
    assert complexity(function) == expected


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Catches everything and does not raise it again: cleaning up and raising is no catching."""
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    raises_again = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    return bool(names & {"Exception", "BaseException"}) and not raises_again


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, name: str, modules: set[str]) -> set[str]:
    """Modules that importing this one imports at once: those in functions and under TYPE_CHECKING come later."""
    found = set()
    todo: list[ast.AST] = list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, Function) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & modules) or {node.module}
        todo.extend(ast.iter_child_nodes(node))
    return (found & modules) - {name}


def _walk(name: str, imports: dict[str, set[str]], way: list[str], done: set[str]) -> None:
    assert name not in way, "import cycle: " + " → ".join([*way[way.index(name) :], name])
    if name in done:
        return
    for other in sorted(imports[name]):
        _walk(other, imports, [*way, name], done)
    done.add(name)

"""House rules as functions from source text to findings, so that each can be shown a bad example.

A finding is `line: what is wrong`. What a general linter already says (naming, formatting, unused code) is not repeated
here; these are the rules that are ours.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
MAX_NESTING = 4

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_IMPURE_MODULES = frozenset({"random", "secrets", "time", "uuid"})
_IMPURE_CALLS = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "os.environ", "os.getenv", "os.urandom"}
)
_SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover|pylint:|ruff:\s*noqa)")
_GOOD_SUPPRESSION = re.compile(
    r"#\s*(noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|type: ignore\[[a-z-]+(, ?[a-z-]+)*\]|pragma: no cover)\s+(—|#) \S.{5,}"
)
_PROMISING = ("verify", "validate", "check", "authorize")


def docstrings(source: str) -> list[str]:
    """Every module, public class, public function and test says what it means."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) or not tree.body else ["1: the module has no docstring"]
    return found + list(_undocumented(tree))


def _undocumented(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in scope.body:
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)) or node.name.startswith("_") or _is_overload(node):
            continue
        heading = isinstance(node, ast.ClassDef) and node.name.startswith("Test")
        if not heading and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node)


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(_dotted(decorator).endswith(("overload", "override", ".setter")) for decorator in node.decorator_list)


def sizes(source: str) -> list[str]:
    """Files, functions and nesting stay readable."""
    count = source.count("\n")
    found = [f"{count}: the file has more than {MAX_FILE_LINES} lines"] if count > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(f"{node.lineno}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}")
            depth = _nesting(node)
            if depth > MAX_NESTING:
                found.append(f"{node.lineno}: {node.name} nests {depth} deep, more than {MAX_NESTING}")
    return found


def _nesting(node: ast.AST, depth: int = 0) -> int:
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deeper = depth + 1 if isinstance(child, _BLOCKS) and not chained else depth
        deepest = max(deepest, _nesting(child, deeper))
    return deepest


def assertions(source: str) -> list[str]:
    """No `assert` guards anything: `python -O` removes them."""
    nodes = ast.walk(ast.parse(source))
    return [f"{node.lineno}: assert" for node in nodes if isinstance(node, ast.Assert)]


def broad_handlers(source: str) -> list[str]:
    """Nobody but the boundaries catches everything."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _catches_all(node.type)):
            found.append(f"{node.lineno}: a handler for every exception")
        elif isinstance(node, ast.Call) and _dotted(node.func).endswith("suppress"):
            found.extend(f"{node.lineno}: suppresses every exception" for one in node.args if _catches_all(one))
    return found


def _catches_all(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_catches_all(element) for element in node.elts)
    return _dotted(node) in {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}


def impurity(source: str) -> list[str]:
    """Time, randomness and the environment are arguments."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names if name.name.split(".")[0] in _IMPURE_MODULES]
            found.extend(f"{node.lineno}: imports {name}" for name in names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _IMPURE_MODULES:
            found.append(f"{node.lineno}: imports from {node.module}")
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            names = [name.name for name in node.names if f"os.{name.name}" in _IMPURE_CALLS]
            found.extend(f"{node.lineno}: imports os.{name}" for name in names)
        elif (
            isinstance(node, ast.Attribute) and {_dotted(node), _dotted(node).removeprefix("datetime.")} & _IMPURE_CALLS
        ):
            found.append(f"{node.lineno}: {_dotted(node)}")
    return found


def suppressions(source: str) -> list[str]:
    """Tools are silenced by code and with a reason: `# noqa: S105 — a reason code, not a password`."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT and _SUPPRESSION.search(token.string)]
    bad = [token for token in comments if not _GOOD_SUPPRESSION.search(token.string)]
    return [f"{token.start[0]}: {token.string}" for token in bad]


def lying_verifiers(source: str) -> list[str]:
    """What promises a verification raises; a `bool` that a caller forgets to look at would be an allow."""
    return [
        f"{node.lineno}: {node.name} returns a bool"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, _FUNCTIONS)
        and node.name.startswith(_PROMISING)
        and node.returns is not None
        and ast.unparse(node.returns) == "bool"
    ]


def makers_of(name: str) -> Callable[[str], list[str]]:
    """Return a rule that finds constructions of the class `name`."""

    def rule(source: str) -> list[str]:
        calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
        return [f"{call.lineno}: makes {name}" for call in calls if _dotted(call.func).split(".")[-1] == name]

    return rule


def stand_ins(source: str) -> list[str]:
    """Tests use the real thing: no mocks of our own code."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [name.name for name in node.names] + [getattr(node, "module", None) or ""]
            found.extend(f"{node.lineno}: imports {name}" for name in names if "mock" in name.split("."))
    return found


def skips(source: str) -> list[str]:
    """A test that is not run proves nothing: no skipping, no expected failures."""
    names = {"pytest.skip", "pytest.xfail", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif"}
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return [f"{node.lineno}: {_dotted(node)}" for node in nodes if _dotted(node) in names | {"pytest.mark.xfail"}]


def sleeps(source: str) -> list[str]:
    """Tests never wait for time to pass."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"{call.lineno}: sleeps" for call in calls if _dotted(call.func) in {"time.sleep", "sleep"}]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}".lstrip(".")
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    return node.id if isinstance(node, ast.Name) else ""

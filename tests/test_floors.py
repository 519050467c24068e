"""The house has seven floors; a file imports only from lower ones."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "understudy"
FLOORS = {
    "classes": 1, "specs": 1.1, "types": 1.2, "tree": 1.4,  # the helpers stand on the words
    "data": 2, "functional": 2,
    "envs": 3, "networks": 3,
    "algorithms": 4,
    "diagnostics": 5, "visualise": 5,
    "zoo": 5.5, "experiment": 6,
    "cli": 7, "__main__": 7.5,
}  # fmt: skip
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def place(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> set[tuple[str, ...]]:
    """Every understudy module `path` imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the module in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {tuple(n.split(".")[1:]) for n in names if n.startswith("understudy.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_imports_only_from_lower_floors(path):
    here = place(path)
    for module in imports(path):
        there = module[0]
        assert there in FLOORS, f"{path.name} imports {'.'.join(module)}, which is on no floor"
        if there != here:
            assert FLOORS[there] < FLOORS[here], f"{here} (floor {FLOORS[here]}) imports {there}"


PAGES = [p for p in FILES if place(p) == "algorithms" and p.stem not in ("presets", "__init__")]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_an_algorithm_page_never_imports_a_sibling(path):
    siblings = {p.stem for p in (SOURCE / "algorithms").glob("*.py")} - {"stages"}
    for module in imports(path):
        if module[0] == "algorithms":
            assert module[1] not in siblings, f"{path.stem} imports {module[1]}"


def docstring_lines(tree: ast.AST) -> int:
    """Lines of every docstring below `tree`, those of attributes included."""
    return sum(
        (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def test_no_file_is_too_long_to_hold_one_idea():
    for path in FILES:
        tree = ast.parse(path.read_text())
        lines = path.read_text().count("\n") - docstring_lines(tree)
        assert lines <= 320, f"{path} holds {lines} lines besides docstrings"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node)
                assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines"

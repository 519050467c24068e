"""What the documents show is so: commands are read, names exist, short programs run."""

import ast
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import understudy
from understudy import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
RUN = {
    "docs/coming-from.md": [0, 1],
    "docs/data.md": [2, 4],
    "docs/models/vrnn.md": [0],
    "docs/models/intent-vrnn.md": [0],
}
"""Python blocks that run as they stand, one after the other; the others need files or minutes."""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands():
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.splitlines():
                command = line.split("&& ")[-1]
                if command.startswith("understudy "):
                    yield pytest.param(command, id=f"{page.name}: {command[11:60]}")


def dotted(node):
    """``us.data.boids`` of an attribute chain on ``us``; None for any other."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return names[::-1] if isinstance(node, ast.Name) and node.id == "us" else None


def importable(module, name):
    """What ``from module import name`` finds: a name in it, or a module of its own."""
    if hasattr(import_module(module), name):
        return True
    return find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_read(command):
    words = shlex.split(command, comments=True)[1:]
    if words[-1] == "--help" and len(words) > 2:
        with pytest.raises(SystemExit) as stop:
            cli.parse(words)
        assert stop.value.code == 0
    else:
        assert callable(cli.parse(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_of_the_library_exists(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            chain = dotted(node)
            place = understudy
            for name in chain or []:
                place = getattr(place, name)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("understudy"):
                for alias in node.names:
                    assert importable(str(node.module), alias.name), alias.name


@pytest.mark.parametrize("name", RUN)
def test_short_programs_run(name):
    programs = blocks(ROOT / name, "python")
    scope = {}
    for number in RUN[name]:
        exec(compile(programs[number], name, "exec"), scope)


def test_every_file_a_page_names_exists():
    for page in PAGES:
        for place in re.findall(
            r"`((?:algorithms|networks|functional|data)/\w+\.py)`", page.read_text()
        ):
            assert (ROOT / "src" / "understudy" / place).is_file(), f"{page.name} names {place}"
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_algorithm_has_its_page():
    """By its name, or named in the title of a page it shares."""
    from understudy.algorithms import ALGORITHMS

    folders = [
        ROOT / "docs" / name
        for name in ("models", "policies", "imitation", "simulators", "planning")
    ]
    pages = [page for folder in folders for page in folder.glob("*.md") if page.stem != "index"]
    named = {page.stem for page in pages if page.parent.name == "models"}
    for page in pages:
        named |= set(re.findall(r"`([\w-]+)`", page.read_text().splitlines()[0]))
    assert named == set(ALGORITHMS)


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in navigation

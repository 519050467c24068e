"""YAML of the MAGAIL program, read without running what it names.

Tags are those of YAML and ``!!python/tuple``, which is a tuple here. Every other tag of Python,
which the program's own loader would run, is refused; so is a key that is there twice, of which that
loader drops the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from understudy.data.readers import files
from understudy.types import UserError, require

UNFIT = (ValueError, TypeError, AttributeError, LookupError)
"""What PyYAML lets through where a value does not fit its tag."""


class _Loader(yaml.SafeLoader):
    """The safe loader, and tuples."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Build a value; one that does not fit its tag is an error at its line."""
        try:
            return super().construct_object(node, deep=deep)
        except UNFIT as error:
            raise _error(f"what is no {node.tag.rpartition(':')[2]}", node) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Build a mapping of different keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _error(f"the key {key.value!r:.40} for a second time", key)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_tuple(self, node: Any) -> tuple[Any, ...]:
        """Build a tuple."""
        return tuple(self.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_tuple)


def load(path: str | Path) -> Any:
    """Read a YAML file: mappings, lists, tuples, and plain values.

    Args:
        path: of the file, UTF-8.

    Raises:
        UserError: for a file that is missing, is no such YAML, or names an object of Python; it
            says in which line.
    """
    path = Path(path)
    require(path.is_file(), f"expected a YAML file, found none at {path}; give its path")
    with files.reading(path, "UTF-8 text"):
        text = path.read_bytes().decode("utf-8")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.constructor.ConstructorError as error:
        found = str(error.problem).removeprefix("found ")
        raise _refused(path, found, error.problem_mark) from None
    except yaml.MarkedYAMLError as error:
        raise _refused(path, f"no YAML ({error.problem})", error.problem_mark) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(path, " ".join(str(error).split())[:120], None) from None


def _error(what: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _refused(path: Path, found: str, mark: Any) -> UserError:
    place = "" if mark is None else f" in line {mark.line + 1}"
    return UserError(
        f"expected YAML in {path} with no tag of Python but !!python/tuple, found {found}{place}; "
        "mend that place, which is not run or guessed at here"
    )

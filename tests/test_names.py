"""Retired names do not come back: one thing has one name, and it is the field's.

The list is support/retired_names.toml.
"""

import io
import json
import re
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RETIRED = tomllib.loads((ROOT / "tests" / "support" / "retired_names.toml").read_text(encoding="utf-8"))
SOURCES = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every identifier of a file, those inside f-strings included."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string
        elif token.type == tokenize.STRING and re.match(r"[rR]?[fF]", token.string):
            for expression in re.findall(r"\{([^{}]*)\}", token.string):
                yield from ((token.start[0], name) for name in re.findall(r"\w+", expression))


def test_no_identifier_is_retired() -> None:
    found = []
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        names = set(RETIRED["identifiers"])
        names.update(*(more for folder, more in RETIRED["in_folder"].items() if place.startswith(folder)))
        found += [f"{place}:{line}: {name}" for line, name in identifiers(path) if name in names]
    assert found == []


def test_no_file_name_is_retired() -> None:
    assert [str(path) for path in SOURCES if path.name in RETIRED["files"]["retired"]] == []


@pytest.mark.parametrize("name", RETIRED["files"]["unique"])
def test_a_file_name_means_one_thing(name: str) -> None:
    found = [str(path) for path in SOURCES if path.name == name]
    assert len(found) <= 1, found


def test_no_key_of_run_json_is_retired(
    photo_tree: Callable[..., Path], script: Callable[..., Path], yanshou: Callable[..., Any], tmp_path: Path
) -> None:
    photos = photo_tree({"挡风板安装检查/审核通过/QC-1": 1})
    flags = ("--engine", "scripted", "--checkpoint", script(), "--input-dir", photos, "--output-dir", tmp_path / "out")
    assert yanshou("summarize", "--mission", "all", *flags).returncode == 0
    (run,) = (tmp_path / "out").glob("*.run.json")
    assert sorted(keys(json.loads(run.read_bytes())) & set(RETIRED["run_json"]["keys"])) == []


def keys(value: object) -> set[str]:
    """All keys of a JSON value, nested ones included."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()

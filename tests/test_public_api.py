"""`import yanshou`: the public names, which are imported when they are used."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import yanshou

SOURCE = ast.parse(Path(yanshou.__file__).read_text(encoding="utf-8"))


def imported_for_type_checkers() -> dict[str, str]:
    """Public name → module, of the imports that only type checkers see."""
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names if alias.asname == alias.name}


def test_type_checkers_see_the_public_names() -> None:
    assert sorted(imported_for_type_checkers()) == sorted(yanshou.__all__)


@pytest.mark.parametrize("name", yanshou.__all__)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    assert getattr(yanshou, name) is getattr(import_module(imported_for_type_checkers()[name]), name)
    assert name in dir(yanshou)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'yanshou' has no attribute 'nothing'"):
        _ = yanshou.nothing


def test_importing_yanshou_imports_nothing_heavy() -> None:
    code = "import sys, yanshou; print(sorted({'torch', 'transformers', 'pydantic', 'PIL', 'rich'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"

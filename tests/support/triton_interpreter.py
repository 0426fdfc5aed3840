"""Triton's interpreter, which runs kernels on a CPU, with less work in it."""

import sys
from functools import cache
from inspect import getmembers
from typing import Any

from triton.language.core import is_builtin
from triton.runtime import interpreter

launch = interpreter.GridExecutor.__call__


def make_fast() -> None:
    """Kernels are not measured for coverage, and `triton.language` is not searched in every call of a function."""
    interpreter.GridExecutor.__call__ = _unmeasured_launch
    interpreter._patch_builtin = _patch_builtin


def _unmeasured_launch(*arguments: Any, **named: Any) -> None:
    measuring = sys.gettrace()
    sys.settrace(None)
    try:
        launch(*arguments, **named)
    finally:
        sys.settrace(measuring)


def _patch_builtin(module: Any, builder: Any, scope: Any) -> None:
    for name in _operations(module):
        operation = getattr(module, name)
        if not is_builtin(operation):
            return  # all of them are interpreted already
        interpreter._patch_attr(module, name, operation, builder, scope)


@cache
def _operations(module: Any) -> list[str]:
    return [name for name, member in getmembers(module) if is_builtin(member)]

"""Triton's interpreter, which runs kernels on a CPU, with less work in it."""

import sys
from functools import cache
from inspect import getmembers
from typing import Any

from triton.language.core import is_builtin
from triton.runtime import interpreter

launch, numpy_type = interpreter.GridExecutor.__call__, interpreter._get_np_dtype
numpy_types: dict[str, Any] = {}  # by the name of Triton's


def make_fast() -> None:
    """Kernels are not measured for coverage. What is the same in every call of a function is looked up once."""
    interpreter.GridExecutor.__call__ = _unmeasured_launch
    interpreter._patch_builtin = _patch_builtin
    interpreter._get_np_dtype = _numpy_type


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


def _numpy_type(kind: Any) -> Any:
    """numpy's type of a number or pointer, or of a block of them."""
    name = kind.scalar.name
    if name not in numpy_types:
        numpy_types[name] = numpy_type(kind)
    return numpy_types[name]

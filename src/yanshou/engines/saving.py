"""Weights that cannot be written: a full disk is an error of safetensors, not of the system."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from yanshou.storage.atomic import write_error, write_errors


@contextmanager
def save_errors(path: Path) -> Iterator[None]:
    """Raises OutputError, naming the path, where the context cannot write weights or files beside them."""
    try:
        with write_errors(path):
            yield
    except SafetensorError as error:  # `… I/O error: No space left on device (os error 28)`
        number = re.search(r"\(os error (\d+)\)", str(error))
        raise write_error(path, OSError(int(number[1]) if number else 0, str(error))) from error

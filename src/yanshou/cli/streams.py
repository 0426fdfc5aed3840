"""Standard output and standard error on a full disk, behind a closed pipe, in an encoding without Chinese.

A result that cannot be written is a run-level error. What is told on the way (progress, warnings) is not the result: a
run goes on without it, and its exit status stays true.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click


class _Stream:
    """A text stream whose failures don't become tracebacks."""

    def __init__(self, stream: Any, needed: bool) -> None:
        self._stream, self._needed = stream, needed
        self._error: OSError | None = (
            None  # the first one, told at every later call: click swallows those of its probes
        )

    def write(self, text: str) -> int:
        with self._watched():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error
            with suppress(OSError):  # what is still in the buffer must not fail once more when Python ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if self._error and self._needed:
            if isinstance(self._error, BrokenPipeError):  # `| head` has what it wants: click ends quietly
                raise self._error
            raise click.ClickException(
                f"standard output cannot be written: {self._error.strerror}. Make room and run again: what is in files "
                "stays."
            )


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Both streams guarded; a closed one (None) stays closed."""
    before = sys.stdout, sys.stderr
    with _escaping(sys.stdout), _escaping(sys.stderr):
        if sys.stdout is not None:
            sys.stdout = _Stream(sys.stdout, needed=True)
        if sys.stderr is not None:
            sys.stderr = _Stream(sys.stderr, needed=False)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def _escaping(stream: Any) -> Iterator[None]:
    """What the stream's encoding has no characters for (PYTHONIOENCODING=latin-1) is spelt out."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=before)

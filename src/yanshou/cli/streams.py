"""Standard output and standard error: on a full disk, with a closed pipe, in an encoding without Chinese.

Whatever is written here by anybody (click, a library's warning) is shown without control characters; line breaks stay.
Tables and bars are written behind this (`unescaped`), because they hold the control sequences of rich.

A result that cannot be written to stdout is a run-level error. Progress and warnings on stderr are not results: if
they cannot be written, a run continues without them and its exit status is the same.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from yanshou.text import printable_lines


class _Stream:
    """A text stream whose failures do not become tracebacks. `needed`: they become errors."""

    def __init__(self, stream: Any, needed: bool) -> None:
        self._stream, self._needed = stream, needed
        self._error: OSError | None = None  # the first one; raised again by later calls, because click swallows some

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
            with suppress(OSError):  # the text left in the buffer must not fail again when Python exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if self._error and self._needed:
            if isinstance(self._error, BrokenPipeError):  # `| head` has read enough: click exits quietly
                raise self._error
            raise click.ClickException(
                f"standard output cannot be written: {self._error.strerror}. Make room and run again; the files are "
                "kept."
            )


class _Printable:
    """A text stream that shows control characters as their escapes."""

    def __init__(self, stream: Any) -> None:
        self.rich_proxied_file = stream  # rich's name for the stream behind a stream

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(printable_lines(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def unescaped(stream: Any) -> Any:
    """The stream that shows text as it is, behind those that escape it or that rich put in front."""
    while (behind := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = behind
    return stream


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guards stdout and stderr. A closed stream (None) stays closed."""
    before = sys.stdout, sys.stderr
    with _escaping(sys.stdout), _escaping(sys.stderr):
        if sys.stdout is not None:
            sys.stdout = _Printable(_Stream(sys.stdout, needed=True))
        if sys.stderr is not None:
            sys.stderr = _Printable(_Stream(sys.stderr, needed=False))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def _escaping(stream: Any) -> Iterator[None]:
    """Escapes characters that the stream's encoding lacks (PYTHONIOENCODING=latin-1)."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=before)

"""`yanshou review` as a user starts it: in a process of its own, on a free port."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served(*args: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """The command in a process of its own, and what it has printed when the page can be opened."""
    command = [sys.executable, "-m", "yanshou.cli", "review", "--port", "0", *args]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            printed = []
            while not (printed and printed[-1].startswith("Ctrl-C ends")):
                line = process.stdout.readline()
                assert line, process.stderr.read()
                printed.append(line.rstrip("\n"))
            yield process, printed
        finally:
            process.kill()


def links(printed: list[str]) -> tuple[str, str]:
    """The links for reviewers and for the lead."""
    (reader,) = [line for line in printed if line.startswith("for reviewers: ")]
    (lead,) = [line for line in printed if line.startswith("for the lead alone: ")]
    return reader.rpartition(" ")[2], lead.rpartition(" ")[2]

"""Every reading command on damaged files: no traceback, no hang, no silent acceptance of damage.

2,000 files in `make test`, seeded; YANSHOU_FUZZ_FILES=20000 damages more. `support/fuzz` holds the files, the mutations
and what a file means. For each damaged file:

    it means what it meant     the result is that of the whole file, or the file is refused by its name
    no run writes it           status 1 or 2, or a warning: with the file's name, and the line of a file of lines
    it means something else    a change inside a text, a lost whole line: anything but a traceback
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.cli_runs import run
from support.fuzz import world
from support.fuzz.subjects import SUBJECTS, Subject
from support.fuzz.validity import DamageError

FILES = int(os.environ.get("YANSHOU_FUZZ_FILES", "2000"))
SLOWEST_S = 20.0  # a damaged file must not take longer; a whole one takes tenths
SHARE = FILES / sum(subject.weight for subject in SUBJECTS)
SHOWN = 8  # failures in a message

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
VARIES = re.compile(rf'{WHEN.pattern}|"(seconds|images_per_s|waited_s|runs)": [0-9.e-]+|fingerprint [0-9a-f]+|.*GiB.*')


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of whole files, as the commands made them in the folder in which the damaged ones are read."""
    before, base = Path.cwd(), tmp_path_factory.mktemp("fuzz")
    world.build(base / "world")
    (base / "world").rename(base / "whole")
    yield base / "whole"
    os.chdir(before)


def restore(whole: Path) -> Path:
    """A fresh copy of the whole files, which becomes the working folder."""
    folder = whole.parent / "world"
    os.chdir(whole.parent)
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(whole, folder, copy_function=shutil.copyfile)
    os.chdir(folder)
    return folder


@dataclass(frozen=True)
class Answer:
    """What a command said and made. `result`: all of it that must not differ, without times."""

    status: int
    output: str
    result: Any


def answer(subject: Subject) -> Answer:
    """Runs the command in the working folder. Raises whatever is no exit."""
    ran = run(*subject.command)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    made = {str(path): content(path) for name in subject.outputs for path in written(Path(name))}
    return Answer(ran.exit_code, ran.output, (ran.exit_code, VARIES.sub("", ran.stdout), made))


def written(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.suffix in (".jsonl", ".csv")]


def content(path: Path) -> Any:
    """The lines as objects, where they are: key order and times are no difference."""
    return list(map(parsed, WHEN.sub("", path.read_text(encoding="utf-8", errors="replace")).split("\n")))


def parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def judge(subject: Subject, data: bytes, damaged: bytes, expected: Answer) -> str:
    """What is wrong with the command's answer to the damaged file; "" if nothing is."""
    began = time.monotonic()
    given = answer(subject)
    if time.monotonic() - began > SLOWEST_S:
        return f"took {time.monotonic() - began:.0f} s"
    if "Traceback" in given.output or given.status not in (0, 1, 2, 3):
        return f"status {given.status}: {given.output[-300:]}"
    name = Path(subject.file).name
    named = given.output.count(name) > (0 if given.status in (1, 2) else expected.output.count(name))
    try:
        meaning = subject.meaning(damaged)
    except DamageError as found:
        if not named:
            return f"accepted with status {given.status}, without the file's name: {given.output[-200:]}"
        if found.line and not _names_a_line(given.output, name, found.line):
            return f"line {found.line} is not named: {given.output[-300:]}"
        return ""
    if meaning == subject.meaning(data) and not named and given.result != expected.result:
        return f"the same content has another result: status {given.status}: {given.output[-300:]}"
    return ""


def _names_a_line(output: str, name: str, last: int) -> bool:
    """Whether the output names the file as a whole, the line, or one before it: two bytes that were swapped may also
    have changed a word there, which the oracle takes for text and a command may refuse."""
    named = re.findall(rf"{re.escape(name)}(?::(\d+)\b|: )", output)
    return any(not number or int(number) <= last for number in named)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_damaged_files_are_refused_or_reported_and_never_a_traceback(whole: Path, subject: Subject) -> None:
    rng, failures = Random(f"yanshou {subject.name}"), []
    restore(whole)
    target = Path(subject.file)
    data = target.read_bytes()
    expected = answer(subject)
    count = max(len(subject.mutations), round(SHARE * subject.weight))
    for number in range(count):
        mutation = subject.mutations[number % len(subject.mutations)]
        damaged = mutation(data, rng)
        folder = restore(whole)
        target.unlink()
        target.write_bytes(damaged)
        try:
            fault = judge(subject, data, damaged, expected)
        except Exception as error:  # noqa: BLE001 - any exception is what this test looks for
            fault = f"{type(error).__name__}: {error}"
        if fault:
            failures.append(f"{number} {mutation.__name__}: {fault}")
            if len(failures) == 1:
                shutil.copy(target, whole.parent / f"{number}.{target.name}")
    restore(whole)
    target.unlink()
    target.write_bytes(data)
    if failures:
        pytest.fail("\n".join([f"{len(failures)} of {count}, files are in {folder.parent}:", *failures[:SHOWN]]))

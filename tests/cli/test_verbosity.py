"""Promises of -v: the package's log on stderr, only when asked for, before or after the command's name."""

import json
import logging
import re
from collections.abc import Iterator

import pytest
from support.cli_runs import Options, arguments, run

from yanshou.cli.verbosity import LOGGER, ConsoleHandler, hide_log, show_log
from yanshou.stage_a import summarize


@pytest.fixture(autouse=True)
def _speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run logs one record at INFO and one at DEBUG."""
    prepare = summarize.prepare

    def logged(*args: object, **options: object) -> object:
        logging.getLogger("yanshou.test").info("[red] %d slots", 7)
        logging.getLogger("yanshou.test").debug("details")
        return prepare(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(summarize, "prepare", logged)


@pytest.fixture
def shown() -> Iterator[None]:
    yield
    assert [handler for handler in LOGGER.handlers if isinstance(handler, ConsoleHandler)] == []
    assert LOGGER.level == logging.NOTSET


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize(
    ("before", "after", "levels"),
    [([], [], []), (["-v"], [], ["INFO"]), ([], ["--verbose"], ["INFO"]), ([], ["-vv"], ["INFO", "DEBUG"]),
     (["-v"], ["-v"], ["INFO", "DEBUG"])],
)  # fmt: skip
def test_the_log_is_shown_when_asked_for(job: Options, before: list[str], after: list[str], levels: list[str]) -> None:
    ran = run(*before, "summarize", *arguments(job, "--quiet", *after))
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert re.findall(r"^\d\d:\d\d:\d\d ([A-Z]+) yanshou.test: ", ran.stderr, re.MULTILINE) == levels
    assert ("INFO yanshou.test: [red] 7 slots\n" in ran.stderr) == bool(levels)


@pytest.mark.usefixtures("shown")
def test_stdout_stays_json(job: Options) -> None:
    ran = run("summarize", *arguments(job, "--json", "-v"))
    assert json.loads(ran.stdout)[0]["written"] == 2
    assert "7 slots" in ran.stderr


def test_the_log_can_be_shown_twice_and_hidden() -> None:
    show_log(logging.INFO)
    show_log(logging.DEBUG)
    assert (len([h for h in LOGGER.handlers if isinstance(h, ConsoleHandler)]), LOGGER.level) == (1, logging.DEBUG)
    hide_log()
    assert LOGGER.level == logging.NOTSET

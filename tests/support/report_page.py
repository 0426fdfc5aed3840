"""A report written by `yanshou evaluate`, and what its page shows in a browser."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from support.chromium import Browser
from support.lines import BAD, GOOD, stage_a_line
from yanshou.cli import main
from yanshou.evaluate import JudgedGroup, evaluate
from yanshou.missions import load_missions
from yanshou.report.order import worst_first
from yanshou.report.translations import TRANSLATIONS
from yanshou.settings import ThresholdSettings

THRESHOLD = 0.7
FINGERPRINT = "4f0c" * 16
LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Report:
    """A written report and its content."""

    page: Path
    figures: dict[str, Any]  # --json
    groups: tuple[JudgedGroup, ...]
    texts: Any

    @property
    def worst_first(self) -> list[JudgedGroup]:
        return worst_first(self.groups, THRESHOLD)


def written(files: list[Path], output_dir: Path, lang: str = "zh", threshold: float | None = THRESHOLD) -> Report:
    """Runs `yanshou evaluate` on files of verdicts."""
    limit = [] if threshold is None else ["--threshold", str(threshold)]
    command = ["evaluate", "--output-dir", output_dir, "--lang", lang, "--json", *limit, *files]
    result = CliRunner().invoke(main, list(map(str, command)), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    groups = evaluate(files, None, load_missions(), ThresholdSettings(threshold=threshold)).groups
    return Report(output_dir / "report.html", json.loads(result.stdout), groups, TRANSLATIONS[lang])


def with_photos(group: str, label: str, photos: list[Path]) -> dict[str, Any]:
    texts = [GOOD, BAD, "无关图片×1", "电线/捆扎整齐×2，备注: <b>看不清</b>"][: len(photos)]
    return stage_a_line(group, label, *texts, images=list(map(str, photos)))


def names(groups: list[JudgedGroup]) -> list[tuple[str, str]]:
    return [(group.key.group_id, group.key.mission) for group in groups]


def listed(browser: Browser) -> list[tuple[str, str]]:
    """Id and mission of the groups in the list, which is short enough to be rendered completely."""
    cells = "['.id', '.where'].map((cell) => row.querySelector(cell).innerText)"
    rows = browser.run(f"return [...document.querySelectorAll('#list .row')].map((row) => {cells})")
    return [(name, mission) for name, mission in rows]


def wait_for_list(browser: Browser, groups: list[JudgedGroup]) -> None:
    """Waits for the page to follow a link, which it does after the click."""
    browser.until(lambda: listed(browser) == names(groups), f"a list of {names(groups)}")


def shown(browser: Browser) -> str:
    """The id of the shown group."""
    return browser.text("#group h2")


def wait_for_image(browser: Browser, selector: str) -> None:
    """Waits for a picture, in view: the browser loads pictures that are far below only when they come near."""
    into_view = (
        "const i = document.querySelector(arguments[0]); "
        "i?.closest('dialog') || i?.scrollIntoView({ block: 'nearest' });"
    )
    script = f"{into_view} return i && i.complete && i.naturalWidth > 0"
    browser.until(lambda: browser.run(script, selector), f"picture {selector}")

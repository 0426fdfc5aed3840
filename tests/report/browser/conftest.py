"""One browser, and one report per language, for all browser tests of the report."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser, chromium
from support.judged_files import amend, write_judged
from support.lines import BAD, GOOD, SHIELD, fault, stage_a_line, verdict
from support.photos import photo_file
from support.report_page import FINGERPRINT, LANGUAGES, Report, with_photos, written

from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import write_report
from yanshou.settings import ThresholdSettings


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Without Chromium the tests fail instead of being skipped: they run only on request."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """A report per language: two missions, every kind of group, and upright, rotated, damaged and missing photos."""
    folder = tmp_path_factory.mktemp("judged")
    photos = [folder / "照 片#1" / f"QC-3b_{number}.jpg" for number in range(1, 5)]
    photo_file(photos[0])
    photo_file(photos[1], orientation=6)
    photo_file(photos[2]).write_bytes(b"\xff\xd8 torn")
    verdicts = [
        verdict("QC-1", "pass", "pass", 0.9),
        verdict("QC-2", "pass", "fail", 0.4),
        verdict("QC-2b", "pass", "fail", 0.2),
        verdict("QC-2c", "pass", "pass", 0.65, reason="写的是通过"),
        verdict("QC-3", "fail", "pass", 0.75),
        verdict("QC-3b", "fail", "pass", 0.95, reason="两处接地螺丝都符合要求"),
        verdict("QC-4", "fail", "fail", 0.1),
        verdict("QC-5", None, "pass", 0.8),
    ]
    lines = [stage_a_line(v["group_id"], v["label"], BAD if v["label"] == "fail" else GOOD) for v in verdicts]
    lines[5] = with_photos("QC-3b", "fail", photos)
    first = write_judged(folder, verdicts, [*lines, stage_a_line("QC-6")], [fault("QC-6")])
    others = [verdict("QC-1", "pass", "pass", 0.85), verdict("QC-1", "fail", "fail", 0.3)]
    second = write_judged(folder, [{**line, "mission": SHIELD} for line in others], mission=SHIELD)
    for file in (first, second):
        amend(
            file, checkpoint=FINGERPRINT, prompts={"system": "你是验收员", "rule": "必须看到<地排>"}, dtype="bfloat16"
        )
    return {lang: written([first, second], folder / lang, lang) for lang in LANGUAGES}


@pytest.fixture
def report(reports: dict[str, Report]) -> Report:
    return reports["zh"]


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages with a policy that has both thresholds: 60 groups with a p_pass each."""
    folder = tmp_path_factory.mktemp("limited")
    labels = ["fail" if number % 2 else "pass" for number in range(60)]
    verdicts = [
        verdict(f"QC-{n}", label, "pass", (n + 0.5 + 20 * (label == "pass")) / 80) for n, label in enumerate(labels)
    ]
    files = [write_judged(folder, verdicts)]
    pages = {}
    for lang in LANGUAGES:
        evaluation = evaluate(
            files, None, load_missions(), ThresholdSettings(max_false_release=0.3, max_false_block=0.4)
        )
        assert evaluation.promises is not None
        assert evaluation.promises.made == 2
        pages[lang] = write_report(evaluation, folder / lang, lang)
    return pages

"""A report of new jobs begins with what to look at; its counts link to their groups."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from support.lines import GOOD, SHIELD, fault, stage_a_line, verdict
from support.parsed_page import Page, report

from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report.order import flags, worst_first
from yanshou.report.translations import TRANSLATIONS

Judged = Callable[..., Path]
TEXTS = TRANSLATIONS["en"]
DOUBTFUL = "光纤/需复核×1"


@pytest.fixture
def new_jobs(judged: Judged) -> list[Path]:
    """Rules gave the verdicts of one mission, a checkpoint those of the other; one group failed."""
    verdicts = [verdict(f"QC-{n}", None, says, None) for n, says in enumerate(["pass", "fail", "pass"], 1)]
    lines = [stage_a_line("QC-1", None), stage_a_line("QC-2", None), stage_a_line("QC-3", None, GOOD, DOUBTFUL)]
    first = judged(verdicts, [*lines, stage_a_line("QC-4", None)], [fault("QC-4", None)])
    sure, unsure = verdict("QC-5", None, "pass", 0.99), verdict("QC-6", None, "fail", 0.4)
    return [first, judged([{**one, "mission": SHIELD} for one in (sure, unsure)], mission=SHIELD)]


def counts(page: Page) -> dict[str, int]:
    """Filter in the address → number of groups that it selects."""
    links = [attributes["href"] or "" for attributes in page.named("a") if "href" in attributes]
    data = page.data
    found = {}
    for link in links:
        wanted = parse_qs(link.removeprefix("#"))
        flagged = [group for group in data["groups"] if "flag" not in wanted or group["flags"]]
        keys = [key for key in ("outcome", "verdict") if key in wanted]
        found[link] = sum(all(group[key] == wanted[key][0] for key in keys) for group in flagged)
    return found


def test_it_has_counts_that_link_to_their_groups_and_no_tables_of_dashes(new_jobs: list[Path], tmp_path: Path) -> None:
    page = report(new_jobs, tmp_path / "out", "en")
    assert page.texts[TEXTS["overview"]] == 1
    assert not {TEXTS["figures"], TEXTS["confusion"], TEXTS["curve"]} & set(page.texts)
    links = {link: count for link, count in counts(page).items() if "=" in link and "mission" not in link}
    assert links == {"#outcome=error": 1, "#flag=any": 1, "#verdict=fail": 2, "#verdict=pass": 3}
    assert len(page.named("table")) == 3  # all missions, and each of them


def test_failed_and_doubtful_groups_come_first(new_jobs: list[Path]) -> None:
    groups = evaluate(new_jobs, None, load_missions()).groups
    assert [group.key.group_id for group in worst_first(groups)] == ["QC-4", "QC-3", "QC-1", "QC-2", "QC-6", "QC-5"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD, []), (DOUBTFUL, ["doubt"]), ("光纤/需复核备注:部分遮挡×1", ["doubt", "note"]),
        ("电线/捆扎整齐备注:看不清×1", ["note"]), ("标签/无法识别×1", []),
    ],
)  # fmt: skip
def test_flags_are_those_of_the_entries(judged: Judged, text: str, found: list[str]) -> None:
    file = judged([verdict("QC-1")], [stage_a_line("QC-1", "pass", GOOD, text)])
    (group,) = evaluate([file], None, load_missions()).groups
    assert flags(group) == found


def test_a_report_with_any_label_has_figures(judged: Judged, tmp_path: Path) -> None:
    page = report([judged([verdict("QC-1", None), verdict("QC-2", "pass")])], tmp_path / "out", "en")
    assert page.texts[TEXTS["figures"]] == 1
    assert page.texts[TEXTS["overview"]] == 0

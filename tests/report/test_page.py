"""report.html: well-formed, complete, and with the figures of the evaluation."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from support.judged_files import many
from support.lines import GOOD, GROUNDING, SHIELD, stage_a_line, verdict
from support.parsed_page import Page, report

from yanshou.errors import OutputError, UsageError
from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import assets, write_report
from yanshou.report.order import worst_first
from yanshou.report.translations import TRANSLATIONS
from yanshou.settings import ThresholdSettings

MISSIONS = load_missions()
Judged = Callable[..., Path]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_is_well_formed_and_holds_every_group_once(
    report_files: list[Path], tmp_path: Path, lang: str
) -> None:
    page = report(report_files, tmp_path / "report", lang)
    groups, missions = page.data["groups"], page.data["missions"]
    keys = Counter((missions[group["mission"]], group["label"], group["id"]) for group in groups)
    assert keys == Counter(group.key for group in evaluate(report_files, None, MISSIONS).groups)
    assert set(keys.values()) == {1}
    assert page.named("html") == [{"lang": lang}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_worst_groups_come_first(report_files: list[Path]) -> None:
    result = evaluate(report_files[:1], None, MISSIONS)
    order = [group.key.group_id for group in worst_first(result.groups)]
    assert order == ["QC-3b", "QC-3", "QC-6", "QC-2b", "QC-2", "QC-5", "QC-1", "QC-4"]


def test_groups_near_the_threshold_come_first_among_the_others(report_files: list[Path]) -> None:
    result = evaluate(report_files[:1], None, MISSIONS, ThresholdSettings(threshold=0.85))
    order = [(group.outcome, group.p_pass) for group in worst_first(result.groups, 0.85)]
    assert order[-4:] == [("no label", 0.8), ("release", 0.9), ("block", 0.6), ("block", 0.1)]


@pytest.mark.parametrize(
    ("lang", "head", "problem"),
    [
        ("zh", "理由核对", "图片_1的摘要中没有“电线/分布散乱×1”"),
        ("en", "Rules disagree", "the summary of 图片_1 does not contain"),
    ],
)
def test_a_reason_that_does_not_hold_is_marked_with_what_is_wrong(
    judged: Judged, tmp_path: Path, lang: str, head: str, problem: str
) -> None:
    whole = "；".join(f"有图片_1 {entry}" for entry in GOOD.split("，"))
    reasons = {"QC-1": whole, "QC-2": "有图片_1 电线/分布散乱×1", "QC-3": "<b>齐全</b>"}
    verdicts = [verdict(key, "pass", "pass", 0.9, reason=reason) for key, reason in reasons.items()]
    page = report([judged(verdicts, [stage_a_line(key, "pass", GOOD) for key in reasons])], tmp_path, lang)
    found = {group["id"]: (group["reasonOutcome"], group["reasonProblems"]) for group in page.data["groups"]}
    assert found["QC-1"] == ("grounded", [])
    assert found["QC-2"][0] == "contradicting"
    assert found["QC-2"][1][0].startswith(problem)
    assert found["QC-3"][0] == "unreadable"
    assert head in (tmp_path / "report.html").read_text("utf-8")


def test_a_group_shows_its_verdict_reason_and_fault(report_files: list[Path], tmp_path: Path) -> None:
    groups = {(group["id"], group["mission"]): group for group in report(report_files, tmp_path).data["groups"]}
    known = {
        name: groups["QC-3", 0][name] for name in ("label", "verdict", "fileVerdict", "outcome", "p", "reason", "rules")
    }
    assert known == {
        "label": "fail", "verdict": "pass", "fileVerdict": "pass", "outcome": "false-release", "p": 0.6,
        "reason": "有图片_1", "rules": "fail",
    }  # fmt: skip
    assert groups["QC-6", 0]["fault"] == "generate: out of memory"
    assert [p["text"] for p in groups["QC-6", 0]["photos"]] == [GOOD]


def test_every_number_of_the_confusion_matrix_links_to_that_many_groups(
    report_files: list[Path], tmp_path: Path
) -> None:
    html = write_report(evaluate(report_files, None, MISSIONS), tmp_path).read_text(encoding="utf-8")
    data = Page(html).data
    links = re.findall(r'<td class="[a-z-]+"><a href="#([^"]+)">(\d+)</a></td>', html)
    assert sum(int(count) for _, count in links) == 2 * len(data["groups"])  # per mission, and all together
    for fragment, count in links:
        wanted = {name: values[0] for name, values in parse_qs(fragment.replace("&amp;", "&")).items()}
        found = [
            group
            for group in data["groups"]
            if wanted.get("mission", data["missions"][group["mission"]]) == data["missions"][group["mission"]]
            and all((group[name] or "none") == wanted.get(name, group[name] or "none") for name in ("label", "verdict"))
            and wanted.get("outcome", group["outcome"]) == group["outcome"]
        ]
        assert len(found) == int(count), fragment
    assert any(
        f"mission={GROUNDING}&outcome=false-release" == unquote(fragment.replace("&amp;", "&")) for fragment, _ in links
    )


def test_the_table_has_figures_of_judge_rules_and_always_pass(report_files: list[Path], tmp_path: Path) -> None:
    page = report(report_files, tmp_path, "en")
    assert (page.texts["unknown judge"], page.texts["rules"], page.texts["always pass"]) == (3, 3, 3)
    assert page.texts["66.7%"] >= 1  # 2 of 3 human fails


def test_both_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    placeholders = {
        lang: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts.items()}
        for lang, texts in TRANSLATIONS.items()
    }
    assert placeholders["zh"] == placeholders["en"]


def test_every_text_that_script_and_template_use_exists() -> None:
    templates = "".join(part.read_text(encoding="utf-8") for part in assets.PARTS.glob("*.html.jinja"))
    used = set(re.findall(r"\bt\.(\w+)", templates)) | set(re.findall(r"\btexts\.(\w+)", assets.script()))
    assert used <= set(TRANSLATIONS["zh"])
    for state in ("missing", "unreadable"):
        assert f"photo_{state}" in TRANSLATIONS["zh"]


@pytest.mark.parametrize(("lang", "text"), [("zh", "误放行"), ("en", "False releases")])
def test_the_report_is_in_the_requested_language(
    report_files: list[Path], tmp_path: Path, lang: str, text: str
) -> None:
    page = report(report_files, tmp_path, lang)
    assert page.texts[text] >= 1
    if lang == "en":
        words = {text: re.sub("需复核|备注", "", text) for text in page.texts}  # as the summaries write them
        chinese = [text for text in words if re.search(r"[\u4e00-\u9fff]", words[text])]
        assert all(GROUNDING in text or SHIELD in text or "verdicts" in text for text in chinese), chinese


def test_an_unknown_language_is_refused_before_anything_is_written(report_files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--lang 'fr'.*zh, en"):
        report(report_files, tmp_path / "new", "fr")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_created_is_named(report_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="thumbnails: cannot be written"):
        report(report_files, tmp_path / "file")


def test_a_page_of_five_thousand_groups_stays_small(judged: Judged, tmp_path: Path) -> None:
    page = report([judged(*many(5000))], tmp_path / "report")
    assert (tmp_path / "report" / "report.html").stat().st_size < 20_000_000
    assert len(page.data["groups"]) == 5000
    assert len(page.elements) < 500  # the script makes elements of one group at a time

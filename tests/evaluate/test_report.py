"""report.html: whole, safe whatever a model wrote, and true to the figures."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from PIL import Image
from support.verdict_files import BAD, GOOD, MISSION, amend, fault, many, photo, stage_a, verdict

from yanshou.errors import OutputError, UsageError
from yanshou.evaluate import Counts, Evaluation, evaluate, write_report
from yanshou.evaluate.curve import Curve, trade_off
from yanshou.evaluate.report import HERE, as_script_data, worst_first
from yanshou.evaluate.translations import TRANSLATIONS
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey

MISSIONS = load_missions()
OTHER = "挡风板安装检查"
VOID = {"meta", "link", "img", "input", "br", "hr"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '" onerror="alert(3)',
    "'><img src=x onerror=alert(4)>",
    "<!--<script>",
    "]]>&lt;&amp;",
    "line\u2028separator\u2029paragraph",
    "[bold red]markup[/] {{ 7 * 7 }} {% raw %}",
    "half a character \ud800 \udcff",
    "\x00\x1b[31m\r\n\t",
    "javascript:alert(5)",
)
Judged = Callable[..., Path]


class Page(HTMLParser):
    """Every element of a page. Fails where an end tag does not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: Counter[str] = Counter()
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "pre": []}
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]][-1] += text
        else:
            self.texts[text.strip()] += 1

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.inside["script"][0]))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self) -> str:
        (policy,) = (m["content"] for m in self.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
        return str(policy)


def read(path: Path) -> Page:
    return Page(path.read_bytes().decode("utf-8"))


def report(files: list[Path], output_dir: Path, lang: str = "zh", **options: Any) -> Page:
    path = write_report(evaluate(files, None, MISSIONS, **options), output_dir, lang)
    assert path == output_dir / "report.html"
    return read(path)


@pytest.fixture
def files(judged: Judged) -> list[Path]:
    """One mission with every kind of group, one with a single group."""
    verdicts = [
        verdict("QC-1", "pass", "pass", 0.9),
        verdict("QC-2", "pass", "fail", 0.4),
        verdict("QC-2b", "pass", "fail", 0.2),
        verdict("QC-3", "fail", "pass", 0.6),
        verdict("QC-3b", "fail", "pass", 0.95),
        verdict("QC-4", "fail", "fail", 0.1),
        verdict("QC-5", None, "pass", 0.8),
    ]
    lines = [stage_a(v["group_id"], v["label"], BAD if v["label"] == "fail" else GOOD) for v in verdicts]
    first = judged(verdicts, [*lines, stage_a("QC-6")], [fault("QC-6")])
    return [first, judged([verdict("QC-1", mission=OTHER)], mission=OTHER)]


def with_photos(judged: Judged, *photos: Path | str, **more: Any) -> Path:
    texts = [GOOD] * len(photos)
    per_image = {f"图片_{number}": text for number, text in enumerate(texts, 1)}
    line = stage_a("QC-1", images=[str(p) for p in photos], per_image=per_image, raw_texts=texts, clean_texts=texts)
    return judged([verdict("QC-1")], [{**line, **more}])


# The page


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_is_well_formed_and_holds_every_group_once(files: list[Path], tmp_path: Path, lang: str) -> None:
    page = report(files, tmp_path / "report", lang)
    groups, missions = page.data["groups"], page.data["missions"]
    keys = Counter((missions[group["mission"]], group["label"], group["id"]) for group in groups)
    assert keys == Counter(group.key for group in evaluate(files, None, MISSIONS).groups)
    assert set(keys.values()) == {1}
    assert page.named("html") == [{"lang": lang}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_worst_groups_come_first(files: list[Path]) -> None:
    result = evaluate(files[:1], None, MISSIONS)
    order = [group.key.group_id for group in worst_first(result.groups)]
    assert order == ["QC-3b", "QC-3", "QC-6", "QC-2b", "QC-2", "QC-5", "QC-1", "QC-4"]


def test_of_the_others_those_near_the_threshold_come_first(files: list[Path]) -> None:
    result = evaluate(files[:1], None, MISSIONS, threshold=0.85)
    order = [(group.outcome, group.p_pass) for group in worst_first(result.groups, 0.85)]
    assert order[-4:] == [("no label", 0.8), ("release", 0.9), ("block", 0.6), ("block", 0.1)]


def test_a_group_has_its_verdicts_reason_and_fault(files: list[Path], tmp_path: Path) -> None:
    groups = {(group["id"], group["mission"]): group for group in report(files, tmp_path).data["groups"]}
    known = {
        name: groups["QC-3", 0][name] for name in ("label", "verdict", "fileVerdict", "outcome", "p", "reason", "rules")
    }
    assert known == {
        "label": "fail", "verdict": "pass", "fileVerdict": "pass", "outcome": "false-release", "p": 0.6,
        "reason": "有图片_1", "rules": "fail",
    }  # fmt: skip
    assert groups["QC-6", 0]["fault"] == "generate: out of memory"
    assert [p["text"] for p in groups["QC-6", 0]["photos"]] == [GOOD]


def test_every_number_of_the_confusion_leads_to_so_many_groups(files: list[Path], tmp_path: Path) -> None:
    html = write_report(evaluate(files, None, MISSIONS), tmp_path).read_text(encoding="utf-8")
    data = Page(html).data
    links = re.findall(r'<td class="[a-z-]+"><a href="#([^"]+)">(\d+)</a></td>', html)
    assert sum(int(count) for _, count in links) == 2 * len(data["groups"])  # by mission, and all together
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
        f"mission={MISSION}&outcome=false-release" == unquote(fragment.replace("&amp;", "&")) for fragment, _ in links
    )


def test_the_table_has_the_figures_of_the_judge_the_rules_and_always_pass(files: list[Path], tmp_path: Path) -> None:
    page = report(files, tmp_path, "en")
    assert (page.texts["judge"], page.texts["rules"], page.texts["always pass"]) == (3, 3, 3)
    assert page.texts["66.7%"] >= 1  # 2 of 3 human fails


def test_both_languages_have_the_same_words_with_the_same_blanks() -> None:
    blanks = {
        lang: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in words.items()}
        for lang, words in TRANSLATIONS.items()
    }
    assert blanks["zh"] == blanks["en"]


def test_every_word_that_script_and_template_ask_for_is_there() -> None:
    template, script = ((HERE / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html.jinja", "js"))
    asked = set(re.findall(r"\bw\.(\w+)", template)) | set(re.findall(r"\bwords\.(\w+)", script))
    assert asked <= set(TRANSLATIONS["zh"])
    for state in ("missing", "unreadable"):
        assert f"photo_{state}" in TRANSLATIONS["zh"]


@pytest.mark.parametrize(("lang", "words"), [("zh", "误放行"), ("en", "False releases")])
def test_the_language_is_the_one_asked_for(files: list[Path], tmp_path: Path, lang: str, words: str) -> None:
    page = report(files, tmp_path, lang)
    assert page.texts[words] >= 1
    if lang == "en":
        said = [text for text in page.texts if re.search(r"[\u4e00-\u9fff]", text)]
        assert all(MISSION in text or OTHER in text or "verdicts" in text for text in said), said


def test_another_language_is_refused_before_anything_is_written(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--lang 'fr'.*zh, en"):
        report(files, tmp_path / "new", "fr")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="thumbnails: cannot be written"):
        report(files, tmp_path / "file")


# Safety


def test_the_policy_runs_the_one_script_and_loads_nothing_from_a_network(files: list[Path], tmp_path: Path) -> None:
    page = report(files, tmp_path)
    directives = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    script = page.inside["script"][1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives == {
        "default-src": "'none'", "img-src": "'self' data: file:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    first = [tag for tag, _ in page.elements].index("meta")
    assert page.elements[first + 1][1].get("http-equiv") == "Content-Security-Policy"  # only the charset before it
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", re.sub(r"//# .*", "", html))


def test_no_element_has_a_handler_a_source_or_a_style_of_its_own(files: list[Path], tmp_path: Path) -> None:
    for tag, attributes in report(files, tmp_path).elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")], tag


def test_the_script_writes_no_markup() -> None:
    script = (HERE / "report.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|XMLHttp", script
    )
    assert "</script" not in script
    assert "<!--" not in script


def saying(text: str, plain: Evaluation) -> Evaluation:
    """The evaluation with `text` wherever a model, a stranger's file or a run file has the word."""
    groups = tuple(
        replace(
            group,
            key=GroupKey(text, group.key.label, f"{group.key.group_id}{text}"),
            images=tuple(f"/photos/{text}.jpg" for _ in group.images),
            summaries=tuple(text for _ in group.summaries),
            reason=group.reason and text,
            fault=group.fault and text,
            rules=group.rules and replace(group.rules, reason=text),
        )
        for group in plain.groups
    )
    run = {"checkpoint": text, "prompts": {"system": text, text: "x"}, "threshold": text, text: [text]}
    return replace(
        plain, groups=groups, missions={text: plain.overall}, warnings=(text,), runs=dict.fromkeys(plain.runs, run)
    )


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(files: list[Path], tmp_path: Path, text: str, lang: str) -> None:
    plain = evaluate(files[:1], None, MISSIONS)
    page = read(write_report(saying(text, plain), tmp_path, lang))
    for group in page.data["groups"]:
        assert group["id"].endswith(text)
        assert (group["reason"] or group["fault"]) == group["rulesReason"] == text
        assert [photo["text"] for photo in group["photos"]] == [text]
    assert page.data["missions"] == [text]

    html = (tmp_path / "report.html").read_bytes().decode("utf-8")
    assert html.lower().count("<script") == html.lower().count("</script") == 2
    assert not set(html[html.index('id="data">') + len('id="data">') : html.index("</script>")]) & set(
        "<>&\u2028\u2029"
    )
    tame = read(write_report(saying("word", plain), tmp_path, lang))
    assert [(tag, [*attributes]) for tag, attributes in page.elements] == [
        (tag, [*attributes]) for tag, attributes in tame.elements
    ]


def test_data_in_a_script_element_is_the_same_data() -> None:
    text = as_script_data({"text": list(HOSTILE)})
    assert json.loads(text) == {"text": list(HOSTILE)}
    assert not set(text) & set("<>&\u2028\u2029")


# Photos


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 213)), (6, (320, 480)), (3, (320, 213)), (8, (320, 480))])
def test_a_thumbnail_is_upright_and_carries_nothing_but_pixels(
    judged: Judged, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    original = photo(tmp_path / "photos" / "1.jpg", orientation)
    page = report([with_photos(judged, original)], tmp_path / "report")
    (shown,) = page.data["groups"][0]["photos"]
    file = tmp_path / "report" / "thumbnails" / shown["thumbnail"]
    data = file.read_bytes()
    assert not any(secret in data for secret in (b"Exif", b"SECRET", b"GPS", b"http", b"ICC"))
    with Image.open(io.BytesIO(data)) as thumbnail:
        assert (thumbnail.format, thumbnail.size, dict(thumbnail.getexif())) == ("JPEG", size, {})
        width, height = thumbnail.size
        red = {1: (5, 5), 6: (width // 2, 5), 3: (width - 5, 5), 8: (width // 2, height - 5)}[orientation]
        colour = thumbnail.getpixel(red)
    assert isinstance(colour, tuple)
    assert colour[0] > 200
    assert colour[2] < 60


def test_a_photo_that_is_not_there_or_damaged_has_a_placeholder(judged: Judged, tmp_path: Path) -> None:
    good, torn = photo(tmp_path / "photos" / "1.jpg"), photo(tmp_path / "photos" / "2.jpg")
    torn.write_bytes(torn.read_bytes()[:500])
    os.mkfifo(tmp_path / "photos" / "3.jpg")
    names = [good, torn, tmp_path / "photos" / "3.jpg", tmp_path / "gone.jpg", "/a\0b.jpg", "/\ud800.jpg", "/x" * 5000]
    page = report([with_photos(judged, *names)], tmp_path / "report")
    photos = page.data["groups"][0]["photos"]
    assert [p["state"] for p in photos] == [
        "there",
        "unreadable",
        "unreadable",
        "missing",
        "missing",
        "missing",
        "missing",
    ]
    assert [bool(p["thumbnail"]) for p in photos] == [True] + [False] * 6


def test_the_large_view_opens_the_photo_by_an_encoded_address(judged: Judged, tmp_path: Path) -> None:
    names = ["图片 1#?%.jpg", "b&\"'<.jpg", "\udcff.jpg"]
    originals = [photo(tmp_path / "照 片" / "1.jpg").rename(tmp_path / "照 片" / name) for name in names]
    group = report([with_photos(judged, *originals)], tmp_path / "report").data["groups"][0]
    assert group["folder"].startswith("file:///")
    for original, shown in zip(originals, group["photos"], strict=True):
        url = urlsplit(group["folder"] + shown["file"])
        assert (url.scheme, url.netloc, url.query, url.fragment) == ("file", "", "", "")
        assert os.fsencode(unquote(url.path, errors="surrogateescape")) == os.fsencode(original)


def test_thumbnails_are_made_once_and_again_when_the_photo_changes(judged: Judged, tmp_path: Path) -> None:
    original = photo(tmp_path / "photos" / "1.jpg")
    file, output_dir = with_photos(judged, original), tmp_path / "report"

    def thumbnails() -> dict[str, int]:
        report([file], output_dir)
        return {path.name: path.stat().st_mtime_ns for path in (output_dir / "thumbnails").iterdir()}

    first = thumbnails()
    assert thumbnails() == first
    photo(original, size=(600, 900))
    changed = thumbnails()
    assert len(changed) == 1
    assert changed.keys() != first.keys()
    (output_dir / "thumbnails" / "mine.jpg").write_bytes(b"x")
    original.unlink()
    assert thumbnails().keys() == {"mine.jpg"}  # who deletes a photo expects it to be gone


def test_progress_hears_of_every_photo(judged: Judged, tmp_path: Path) -> None:
    file = with_photos(judged, photo(tmp_path / "1.jpg"), tmp_path / "gone.jpg")
    heard: list[tuple[int, int]] = []
    write_report(evaluate([file], None, MISSIONS), tmp_path, progress=lambda *counts: heard.append(counts))
    assert heard == [(1, 2), (2, 2)]


# Curve, threshold, origin


def test_the_curve_goes_through_the_figures_at_every_threshold(files: list[Path]) -> None:
    plain = evaluate(files[:1], None, MISSIONS)
    scores = [(g.p_pass, g.key.label == "fail") for g in plain.groups if g.key.label and g.p_pass is not None]
    for point in trade_off(scores, plain.overall.judge.human_passes, plain.overall.judge.human_fails)[1:]:
        judge = evaluate(files[:1], None, MISSIONS, threshold=point.threshold).overall.judge
        assert (point.false_block, point.false_release) == (judge.false_block.share, judge.false_release.share)


def test_the_mark_lies_on_the_curve(files: list[Path], tmp_path: Path) -> None:
    result = evaluate(files[:1], None, MISSIONS, threshold=0.6)
    curve = Curve.of(result.groups, 0.6)
    assert curve is not None
    judge: Counts = result.overall.judge
    assert (curve.mark.false_block, curve.mark.false_release) == (judge.false_block.share, judge.false_release.share)
    page = report(files[:1], tmp_path, threshold=0.6)
    assert len(page.named("svg")) == 1
    assert page.texts["所选阈值 0.6"] == 1
    assert page.texts["p_pass ≥ 0.6 判通过（本次评估设定）"] == 1
    assert page.data["threshold"] == 0.6


def test_each_mission_with_both_labels_has_a_curve_and_so_have_all(files: list[Path], tmp_path: Path) -> None:
    page = report(files, tmp_path)
    assert [f["data-curve"] for f in page.named("figure")] == ["", MISSION]


def test_the_rules_have_no_curve_and_no_threshold(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass", "pass", None), verdict("QC-2", "fail", "pass", None)])
    amend(file, checkpoint="rules", rule={"text": "x"})
    page = report([file], tmp_path)
    assert not page.named("svg")
    assert page.texts[TRANSLATIONS["zh"]["curve_none"]] == 1
    assert page.texts[TRANSLATIONS["zh"]["threshold_rules"]] == 1
    assert page.texts[TRANSLATIONS["zh"]["rules_checkpoint"]] >= 1
    assert [group["p"] for group in page.data["groups"]] == [None, None]


def test_checkpoint_prompts_and_threshold_stand_in_it(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(
        file,
        checkpoint="4f0c" * 16,
        prompts={"system": "你是验收员", "rule": "必须看到"},
        threshold=0.7,
        dtype="bfloat16",
    )
    summaries = file.with_name(f"{MISSION}_stage_a.jsonl")
    shutil.copy(file.with_suffix(".run.json"), summaries.with_suffix(".run.json"))
    amend(summaries, checkpoint="77aa" * 16, prompts={"system": "你是图像员", "user": "请描述"})
    page = report([file], tmp_path)
    assert page.texts["4f0c" * 16] == 2  # in the head and in the origin
    assert page.texts["77aa" * 16] == 1
    assert page.inside["pre"][:2] == ["你是验收员", "必须看到"]
    assert {"你是图像员", "请描述"} <= set(page.inside["pre"])
    assert any('"dtype": "bfloat16"' in text for text in page.inside["pre"])
    assert page.texts["p_pass ≥ 0.7 判通过（判定时设定）"] == 1


@pytest.mark.parametrize("threshold", [pytest.param(10**400, id="huge"), -1, 1.5, True, False, "1", [1], {}])
def test_what_is_no_probability_is_no_threshold_that_is_known(
    judged: Judged, tmp_path: Path, threshold: object
) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(file, checkpoint="4f0c" * 16, threshold=threshold)
    page = report([file], tmp_path)
    assert page.data["threshold"] is None
    assert page.texts[TRANSLATIONS["zh"]["not_known"]] == 2  # threshold, and the origin of the Stage-A file


@pytest.mark.parametrize("damage", ["", "{", '{"settings": 1}'])
def test_without_a_readable_run_file_the_origin_is_not_known(judged: Judged, tmp_path: Path, damage: str) -> None:
    file = judged([verdict("QC-1")])
    file.with_suffix(".run.json").write_text(damage)
    path = write_report(evaluate([file], [file.with_name(f"{MISSION}_stage_a.jsonl")], MISSIONS), tmp_path)
    assert read(path).texts[TRANSLATIONS["zh"]["not_known"]] == 4  # checkpoint, threshold, and both files' origin


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("fails", "p", "words"), [(50, 0.6, "0.7"), (3, 0.6, "41"), (50, 0.95, "50 / 50")])
def test_what_a_limit_promises_is_told(
    judged: Judged, tmp_path: Path, lang: str, fails: int, p: float, words: str
) -> None:
    verdicts = [verdict(f"QC-1{n}", "pass", "pass", 0.8) for n in range(10)]
    verdicts += [verdict(f"QC-2{n}", "fail", "pass", p) for n in range(fails)]
    page = report([judged(verdicts)], tmp_path, lang, max_false_release=0.1)
    (promise,) = (text for text in page.texts if "10.0%" in text and "95%" in text)
    assert words in promise


# Size


def test_five_thousand_groups_are_a_page_that_a_browser_takes(judged: Judged, tmp_path: Path) -> None:
    page = report([judged(*many(5000))], tmp_path / "report")
    assert (tmp_path / "report" / "report.html").stat().st_size < 20_000_000
    assert len(page.data["groups"]) == 5000
    assert len(page.elements) < 500  # groups are made into elements one at a time

"""compare.html: complete without its script, safe for any text, bounded, offline."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compared_files import changes, compared, flipped_sides, run_compare, write_side
from support.lines import GOOD, stage_a_line, verdict
from support.parsed_page import Page, read

from yanshou.compare.page import HERE
from yanshou.compare.translations import EN, TRANSLATIONS, ZH, translation
from yanshou.errors import UsageError

Sides = Callable[[], tuple[Path, Path]]
HOSTILE = (
    "<script>alert(1)</script>",
    '" onerror="alert(3)',
    "'><img src=x onerror=alert(4)>",
    "<!--<script>]]>&lt;&amp;",
    "line\u2028separator",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(5)",
)


def page_of(a: Path, b: Path, output_dir: Path, *more: str) -> Page:
    compared(a, b, output_dir, *more)
    return read(output_dir / "compare.html")


def cards(page: Page) -> list[dict[str, str | None]]:
    return page.named("article")


def test_the_page_shows_every_change_worst_first(sides: Sides, tmp_path: Path) -> None:
    page = page_of(*sides(), tmp_path / "out")
    assert [(card["data-kinds"], card["data-categories"]) for card in cards(page)] == [
        ("turned|change_entries", "电线"),
        ("turned|change_entries", "无关图片|标签"),
        ("turned|change_entries", "标签"),
        ("change_entries", "挡风板"),
        ("change_spelling", ""),
        ("change_only_in_A", ""),
    ]
    assert len(cards(page)) == len(changes(tmp_path / "out")) == 6
    assert page.texts["电线/捆扎整齐×1"] >= 1
    assert page.texts[ZH["unreadable"]] == 1
    assert page.texts[ZH["missing"]] == 3


def test_only_thumbnails_beside_the_page_are_loaded(sides: Sides, tmp_path: Path) -> None:
    page = page_of(*sides(), tmp_path / "out")
    sources = [str(image["src"]) for image in page.named("img")]
    assert len(sources) == 2
    assert all(re.fullmatch(r"compare/thumbnails/[0-9a-f]{32}\.jpg", source) for source in sources)
    assert all((tmp_path / "out" / source).is_file() for source in sources)
    assert all(str(link["href"]).startswith("file:///") for link in page.named("a") if link.get("class") == "photo")
    script = page.inside["script"][0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert dict(part.strip().split(" ", 1) for part in page.policy.split(";")) == {
        "default-src": "'none'", "img-src": "'self' file:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert not re.search(r"https?://", (tmp_path / "out" / "compare.html").read_text("utf-8"))


def test_a_page_is_bounded_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    lines = [stage_a_line(f"QC-{n}", "pass", f"标签/A×{n + 1}") for n in range(30)]
    other = [stage_a_line(f"QC-{n}", "pass", "无关图片×1") for n in range(30)]
    page = page_of(
        write_side(tmp_path / "a", lines), write_side(tmp_path / "b", other), tmp_path / "out",
        "--max-shown", "10", "--lang", "en",
    )  # fmt: skip
    assert len(cards(page)) == 10
    assert page.texts[EN["left_out"].format(shown=10, total=30, rest=20)] == 1
    assert page.texts["BBU接地线检查 (10 / 30)"] == 1
    assert [line["group_id"] for line in changes(tmp_path / "out")] == [f"QC-{n}" for n in reversed(range(30))]


def test_thumbnails_of_an_earlier_page_go_and_those_of_a_report_stay(sides: Sides, tmp_path: Path) -> None:
    files, out = sides(), tmp_path / "out"
    (out / "thumbnails").mkdir(parents=True)
    (out / "thumbnails" / f"{'0' * 32}.jpg").write_bytes(b"of a report")
    page_of(*files, out)
    assert len(list((out / "compare" / "thumbnails").glob("*.jpg"))) == 2
    page_of(files[0], write_side(tmp_path / "same", map(json.loads, files[0].read_text("utf-8").splitlines())), out)
    assert list((out / "compare" / "thumbnails").glob("*.jpg")) == []
    assert (out / "thumbnails" / f"{'0' * 32}.jpg").exists()


@pytest.mark.parametrize("lang", sorted(TRANSLATIONS))
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(tmp_path: Path, text: str, lang: str) -> None:
    def written(word: str, name: str) -> Page:
        tag = word if len(word.splitlines()) == 1 else "A"
        a, b = (
            [
                stage_a_line(
                    f"QC{word}", "pass", f"标签/{tag}{side}×1", mission=word, images=[f"/{side}/{word}{side}.jpg"]
                )
            ]
            for side in "ab"
        )
        files = [
            write_side(tmp_path / name / side, lines, checkpoint=f"{side}{word}", prompts={word: side})
            for side, lines in (("a", a), ("b", b))
        ]
        return page_of(*files, tmp_path / name / "out", "--lang", lang)

    hostile, tame = written(text, "hostile"), written("word", "tame")
    assert [(tag, [*attributes]) for tag, attributes in hostile.elements] == [
        (tag, [*attributes]) for tag, attributes in tame.elements
    ]
    for tag, attributes in hostile.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")], tag
        assert tag in ("img", "a") or not {"src", "href"} & set(attributes), tag


def test_hostile_reasons_stay_text(tmp_path: Path) -> None:
    for text in HOSTILE:
        a, b = ([verdict("QC-1", "pass", says, 0.5, reason=text)] for says in ("pass", "fail"))
        files = write_side(tmp_path / "a", a, "verdicts"), write_side(tmp_path / "b", b, "verdicts")
        page = page_of(*files, tmp_path / "out")
        assert len(page.named("script")) == 1
        assert page.named("img") == []


def test_flips_have_both_verdicts_and_reasons(tmp_path: Path) -> None:
    page = page_of(*flipped_sides(tmp_path), tmp_path / "out", "--lang", "en")
    kinds = [card["data-kinds"] for card in cards(page)]
    assert kinds == ["kind_new_false_release", "kind_new_false_block", "kind_unlabelled", "kind_right"]
    assert page.texts["A · fail · p_pass 0.2000"] == 1
    assert page.texts["没有看到地排"] == 4
    assert page.texts[EN["mcnemar_note"]] == 1


def test_the_script_writes_no_markup() -> None:
    script = (HERE / "compare.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(", script)
    assert "</script" not in script


def test_both_languages_have_the_same_texts() -> None:
    assert list(ZH) == list(EN)
    assert all(set(re.findall(r"\{\w+\}", ZH[name])) == set(re.findall(r"\{\w+\}", EN[name])) for name in ZH)
    with pytest.raises(UsageError, match="unknown language"):
        translation("fr")


def test_the_terminal_shows_tables_settings_and_files(sides: Sides, tmp_path: Path) -> None:
    result = run_compare(*sides(), tmp_path / "out", "--max-shown", "2")
    assert result.exit_code == 0
    assert 'settings that differ:\n  checkpoint: A has "4f0c' in result.stdout
    assert f"changes: 6, all in {tmp_path / 'out' / 'changes.jsonl'}" in result.stdout
    assert f"page: {tmp_path / 'out' / 'compare.html'} (shows 2 of them)" in result.stdout
    assert "类别" in result.stdout
    assert run_compare(*sides(), tmp_path / "out", "--quiet").stdout == ""


def test_verdicts_on_the_terminal(tmp_path: Path) -> None:
    shown = run_compare(*flipped_sides(tmp_path), tmp_path / "out").stdout
    for column in ("McNemar p", "new false", "mean shift"):
        assert column.split()[0] in shown


def test_a_missing_run_file_is_said_and_no_error(tmp_path: Path) -> None:
    files = [write_side(tmp_path / side, [stage_a_line("QC-1", "pass", GOOD)]) for side in ("a", "b")]
    result = run_compare(*files, tmp_path / "out", "--lang", "en")
    assert result.exit_code == 0
    assert "m_stage_a.run.json is missing" in result.stderr
    assert EN["unknown_settings"] in (tmp_path / "out" / "compare.html").read_text("utf-8")

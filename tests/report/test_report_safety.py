"""report.html is safe for any text that a model or a stranger wrote."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.parsed_page import read, report

from yanshou.evaluate import Evaluation, evaluate
from yanshou.evaluate.judges import Judge
from yanshou.missions import load_missions
from yanshou.report import assets, write_report
from yanshou.report.report_data import to_script_json
from yanshou.schema.records import GroupKey

MISSIONS = load_missions()
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


def test_the_policy_allows_the_one_script_and_no_network(report_files: list[Path], tmp_path: Path) -> None:
    page = report(report_files, tmp_path)
    directives = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    script = page.inside["script"][1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives == {
        "default-src": "'none'", "img-src": "'self' data: file:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    first = [tag for tag, _ in page.elements].index("meta")
    assert page.elements[first + 1][1].get("http-equiv") == "Content-Security-Policy"  # only the charset precedes it
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", re.sub(r"//# .*", "", html))


def test_no_element_has_an_event_handler_a_source_or_an_inline_style(report_files: list[Path], tmp_path: Path) -> None:
    for tag, attributes in report(report_files, tmp_path).elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")], tag


def test_the_script_writes_no_markup() -> None:
    script = assets.script()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|XMLHttp", script
    )
    assert "</script" not in script
    assert "<!--" not in script


def with_text(text: str, plain: Evaluation) -> Evaluation:
    """The evaluation with `text` in every place that a model, a stranger or a run file fills."""
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
    settings = {"checkpoint": text, "prompts": {"system": text, text: "x"}, "threshold": text, text: [text]}
    run = next(run for run in plain.runs.values() if run).model_copy(update={"settings": settings})
    return replace(
        plain,
        groups=groups,
        missions={text: replace(plain.overall, judged_by=Judge.of(run))},
        warnings=(text,),
        runs=dict.fromkeys(plain.runs, run),
    )


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(report_files: list[Path], tmp_path: Path, text: str, lang: str) -> None:
    plain = evaluate(report_files[:1], None, MISSIONS)
    page = read(write_report(with_text(text, plain), tmp_path, lang))
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
    tame = read(write_report(with_text("word", plain), tmp_path, lang))
    assert [(tag, [*attributes]) for tag, attributes in page.elements] == [
        (tag, [*attributes]) for tag, attributes in tame.elements
    ]


def test_data_in_a_script_element_is_unchanged() -> None:
    text = to_script_json({"text": list(HOSTILE)})
    assert json.loads(text) == {"text": list(HOSTILE)}
    assert not set(text) & set("<>&\u2028\u2029")

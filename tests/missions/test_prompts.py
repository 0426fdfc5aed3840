"""Rendered prompts equal the golden files. YANSHOU_UPDATE_GOLDEN=1 rewrites them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.checkpoints import settings, write_tiny

from yanshou.engines import Prompt
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import InputError
from yanshou.missions import Mission, load_missions
from yanshou.missions.prompts import SUMMARY_SYSTEM_PROMPT, SUMMARY_USER_PROMPT, summary_prompt, verdict_prompt
from yanshou.settings import PromptSettings

GOLDEN = Path(__file__).parent / "golden"
MISSIONS = list(load_missions())
SUMMARIES = ["BBU设备/华为,显示完整,无需安装×1，标签/无法识别×2", "无关图片×1"]

Render = Callable[..., str]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Qwen's chat template, in a checkpoint folder."""
    return TransformersEngine(settings(write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny"))).render


def is_golden(name: str, text: str) -> bool:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("YANSHOU_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("mission", MISSIONS, ids=lambda mission: mission.name)
def test_summary_prompts_are_golden(render: Render, mission: Mission) -> None:
    assert is_golden(f"{mission.name} stage-a", render(summary_prompt(mission, PromptSettings())))
    without = PromptSettings(mission_focus=False)
    assert is_golden("any mission stage-a without focus", render(summary_prompt(mission, without)))


@pytest.mark.parametrize("mission", MISSIONS, ids=lambda mission: mission.name)
def test_verdict_prompts_are_golden(render: Render, mission: Mission) -> None:
    assert is_golden(f"{mission.name} stage-b", render(verdict_prompt(mission, SUMMARIES), with_photo=False))


def test_every_golden_file_belongs_to_a_prompt() -> None:
    names = {f"{mission.name} stage-{stage}" for mission in MISSIONS for stage in "ab"}
    assert {path.stem for path in GOLDEN.iterdir()} == names | {"any mission stage-a without focus"}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_no_prompt_contains_a_label_or_a_path(path: Path) -> None:
    prompt = path.read_text(encoding="utf-8")
    for word in ("审核通过", "审核不通过", "审核", "QC-", ".jpg", ".jpeg", "pass", "fail"):
        assert word not in prompt
    assert "/home" not in prompt


def test_prompt_files_replace_the_prompts_and_keep_the_focus(tmp_path: Path) -> None:
    mission = MISSIONS[0]
    (tmp_path / "system.txt").write_text("只看螺丝。\n", encoding="utf-8")
    (tmp_path / "user.txt").write_text("\n写一行。\n", encoding="utf-8")
    files = {"system_prompt": tmp_path / "system.txt", "user_prompt": tmp_path / "user.txt"}
    focus = f"检查项：{mission.name}。{mission.focus}"
    assert summary_prompt(mission, PromptSettings(**files)) == Prompt("只看螺丝。", f"写一行。\n{focus}")
    assert summary_prompt(mission, PromptSettings(**files, mission_focus=False)) == Prompt("只看螺丝。", "写一行。")
    own = summary_prompt(mission, PromptSettings())
    assert own == Prompt(SUMMARY_SYSTEM_PROMPT, f"{SUMMARY_USER_PROMPT}\n{focus}")


def test_a_byte_order_mark_is_not_part_of_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("只看螺丝。\n", encoding="utf-8-sig")
    (tmp_path / "user.txt").write_text("写一行。\n", encoding="utf-8-sig")
    files = {"system_prompt": tmp_path / "system.txt", "user_prompt": tmp_path / "user.txt"}
    for path in files.values():
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert summary_prompt(MISSIONS[0], PromptSettings(**files, mission_focus=False)) == Prompt("只看螺丝。", "写一行。")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"a\xff", "cannot be read"), (b" \n", "is empty"), (b"\xef\xbb\xbf\n", "is empty")],
)
def test_an_empty_or_unreadable_prompt_file_is_an_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "prompt.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        summary_prompt(MISSIONS[0], PromptSettings(system_prompt=path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-16-le"])
def test_a_prompt_in_another_encoding_is_named_with_its_cure(tmp_path: Path, encoding: str) -> None:
    text = "看图，𠮷。" if encoding == "gb18030" else "Look: 看图，写一行。\n"
    path = tmp_path / "prompt.txt"
    path.write_bytes(text.encode(encoding))
    named = encoding.upper().replace("-LE", "LE")
    with pytest.raises(InputError, match=rf"prompt.txt: the prompt file is {named}, not UTF-8: convert it back with"):
        summary_prompt(MISSIONS[0], PromptSettings(system_prompt=path))

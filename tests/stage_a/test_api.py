"""Guarantees of `yanshou.stage_a.api`: Python gets the same texts and records as `yanshou summarize` writes."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from yanshou import (
    EngineSettings,
    PromptSettings,
    ScriptedEngine,
    StageASettings,
    infer_batch,
    infer_one_image,
    load_missions,
    process_group,
    summarize_directory,
    summary_prompt,
)
from yanshou.errors import GenerationError, GroupError, GroupFolderError, PhotoError, SummaryError
from yanshou.inputs.discovery import Group
from yanshou.schema.records import GroupKey
from yanshou.storage.jsonl import read_lines

SHIELD = load_missions().get("挡风板安装检查")
PROMPT = summary_prompt(SHIELD, PromptSettings())
ANSWERS = {
    "1.jpg": '{"图片_1": "挡风板/华为,只显示部分,安装方向正确×1"}',
    "2.jpg": " 无关图片×1\n",
    "*": "电线/捆扎整齐×2",
}


@pytest.fixture
def group(photo_tree: Callable[..., Path]) -> Group:
    parent = photo_tree({f"{SHIELD.name}/审核不通过/QC-1": ["10.jpg", "2.jpg", "1.jpg"]}) / SHIELD.name / "审核不通过"
    return Group(GroupKey(SHIELD.name, "fail", "QC-1"), parent, "QC-1")


def engine(**answers: str) -> ScriptedEngine:
    return ScriptedEngine.of(ANSWERS | {name.replace("_", "."): text for name, text in answers.items()}, batch_size=2)


def test_photos_and_groups_give_what_the_directory_run_writes(group: Group, tmp_path: Path) -> None:
    settings = StageASettings(
        input_dir=tmp_path / "in", output_dir=tmp_path / "out", missions=(SHIELD.name,),
        engine=EngineSettings(checkpoint="scripted", engine="scripted"),
    )  # fmt: skip
    (result,) = summarize_directory(settings, engine())
    assert result.lines is not None
    ((_, line),) = read_lines(result.lines)
    record = process_group(group, engine(), PROMPT)
    assert record.model_dump() | {"timestamp": line["timestamp"]} == line

    pairs = list(zip(line["raw_texts"], line["clean_texts"], strict=True))
    assert infer_batch(engine(), group.photos(), PROMPT) == pairs
    assert [infer_one_image(engine(), photo, PROMPT) for photo in group.photos()] == pairs
    assert pairs == [
        ('{"图片_1": "挡风板/华为,只显示部分,安装方向正确×1"}<|im_end|>', "挡风板/华为,只显示部分,安装方向正确×1"),
        (" 无关图片×1\n<|im_end|>", "无关图片×1"),
        ("电线/捆扎整齐×2<|im_end|>", "电线/捆扎整齐×2"),
    ]


def test_one_engine_serves_any_number_of_calls(group: Group) -> None:
    one = engine()
    assert [infer_one_image(one, group.folder / "2.jpg", PROMPT) for _ in range(3)] == [
        (" 无关图片×1\n<|im_end|>", "无关图片×1")
    ] * 3


def test_an_image_in_memory_is_accepted() -> None:
    assert infer_one_image(engine(), Image.new("RGB", (8, 8)), PROMPT) == (
        "电线/捆扎整齐×2<|im_end|>",
        "电线/捆扎整齐×2",
    )


def test_no_photos_give_no_texts() -> None:
    assert infer_batch(engine(), [], PROMPT) == []


def test_an_empty_summary_is_a_value_error(group: Group) -> None:
    for call in (
        lambda: infer_one_image(engine(**{"2_jpg": ""}), group.folder / "2.jpg", PROMPT),
        lambda: infer_batch(engine(**{"2_jpg": ""}), group.photos(), PROMPT),
        lambda: process_group(group, engine(**{"2_jpg": ""}), PROMPT),
    ):
        with pytest.raises(ValueError, match=r"the summary is empty: the model wrote '<\|im_end\|>'") as caught:
            call()
        assert isinstance(caught.value, SummaryError)


def test_an_unreadable_photo_is_a_value_error(group: Group) -> None:
    (group.folder / "10.jpg").write_bytes(b"")
    for call in (
        lambda: infer_batch(engine(), group.photos(), PROMPT),
        lambda: process_group(group, engine(), PROMPT),
    ):
        with pytest.raises(ValueError, match=r"10\.jpg: the file is empty \(0 bytes\)") as caught:
            call()
        assert isinstance(caught.value, PhotoError)


def test_a_batch_names_the_photo_that_fails(group: Group) -> None:
    cases = {
        r"/QC-1/2\.jpg: the summary is empty": engine(**{"2_jpg": ""}),
        r"/QC-1/10\.jpg: the answer was cut off": ScriptedEngine.of(ANSWERS, truncated=("10.jpg",)),
    }
    for message, one in cases.items():
        with pytest.raises(GroupError, match=message) as caught:
            infer_batch(one, group.photos(), PROMPT)
        assert caught.value.advice
    pictures = [Image.new("RGB", (8, 8))] * 2
    with pytest.raises(SummaryError, match=r"^image 1: the summary is empty"):
        infer_batch(ScriptedEngine.of({"*": ""}), pictures, PROMPT)
    (group.folder / "10.jpg").write_bytes(b"")
    with pytest.raises(PhotoError) as caught:
        infer_batch(engine(), group.photos(), PROMPT)
    assert str(caught.value).count("10.jpg") == 1


def test_a_batch_that_fails_leaves_no_thread_to_the_garbage_collection(group: Group) -> None:
    """A collection that ends threads can come while a thread starts, and then waits for itself."""
    with pytest.raises(SummaryError) as caught:  # the traceback keeps whatever was not ended
        infer_batch(engine(**{"2_jpg": ""}), group.photos(), PROMPT)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("prepare")], caught


def test_an_answer_that_was_cut_off_is_a_value_error_unless_accepted(group: Group) -> None:
    cut = ScriptedEngine.of(ANSWERS, truncated=("10.jpg",))
    for call in (
        lambda: infer_one_image(cut, group.folder / "10.jpg", PROMPT),
        lambda: process_group(group, cut, PROMPT),
    ):
        with pytest.raises(ValueError, match="the answer was cut off after 10 tokens") as caught:
            call()
        assert isinstance(caught.value, GenerationError)
    assert infer_one_image(cut, group.folder / "10.jpg", PROMPT, allow_truncated=True) == ("电线/捆扎整齐×2",) * 2
    assert process_group(group, cut, PROMPT, allow_truncated=True).clean_texts[2] == "电线/捆扎整齐×2"


def test_a_group_with_several_errors_raises_that_of_its_first_photo(group: Group) -> None:
    (group.folder / "10.jpg").write_bytes(b"")
    with pytest.raises(GroupError, match="the summary is empty"):
        process_group(group, engine(**{"2_jpg": ""}), PROMPT)


def test_a_group_without_photos_is_a_value_error(tmp_path: Path) -> None:
    gone = Group(GroupKey(SHIELD.name, None, "QC-9"), tmp_path, "QC-9")
    with pytest.raises(ValueError, match="QC-9: the group's folder cannot be read") as caught:
        process_group(gone, engine(), PROMPT)
    assert isinstance(caught.value, GroupFolderError)

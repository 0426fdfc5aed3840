"""Guarantees of `yanshou.stage_b.dataset`: readable files, no id on both sides, prompts that reveal nothing."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict, write_lines

from yanshou.errors import CheckpointError, DamagedFileError, InputError, OutputError
from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import Card
from yanshou.stage_b.dataset import build_dataset
from yanshou.stage_b.tokens import count_tokens

MISSIONS = load_missions()
TOKENS = "yanshou.stage_b.dataset.count_tokens"


def build(folder: Path, *lines: Any, **options: Any) -> Card:
    """The dataset of these lines, with characters counted as tokens: the checkpoint takes seconds to load."""
    with mock.patch(TOKENS, lambda prompts, *_: [len(prompt.user) for prompt in prompts]):
        return build_from([write_lines(folder / "stage_a.jsonl", lines)], folder / "out", **options)


def build_from(files: list[Path], output_dir: Path, **options: Any) -> Card:
    return build_dataset(DatasetSettings(stage_a=tuple(files), output_dir=output_dir, **options))


def rows(folder: Path, name: str) -> list[Any]:
    return [json.loads(text) for text in (folder / "out" / name).read_text(encoding="utf-8").splitlines()]


def both(folder: Path) -> list[Any]:
    return [*rows(folder, "train.jsonl"), *rows(folder, "val.jsonl")]


def keys(lines: list[Any]) -> list[tuple[str, str]]:
    return [(fields["mission"], fields["group_id"]) for fields in lines]


def test_a_row_has_the_columns_that_trainers_read(tmp_path: Path) -> None:
    summaries = ["电线/捆扎整齐×2", "无关图片×1"]
    build(tmp_path, stage_a_line("QC-20241022-1", "pass", *summaries), stage_a_line("QC-20241022-2", "fail"))
    row = next(row for row in both(tmp_path) if row["group_id"] == "QC-20241022-1")
    prompt = verdict_prompt(MISSIONS.get(GROUNDING), summaries)
    assert row == {
        "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        "solution": "通过",
        "group_id": "QC-20241022-1",
        "mission": GROUNDING,
        "summaries": summaries,
        "image_paths": stage_a_line("QC-20241022-1", "pass", *summaries)["images"],
    }
    assert {row["solution"] for row in both(tmp_path)} == {"通过", "不通过"}


def test_huggingface_datasets_load_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    odd = "<script>alert('图片')</script>，标签/\x00 \"\\ \ud800 😀×1"
    lines = [stage_a_line(f"QC-20241022-{i}", "pass", odd, "无关图片×1") for i in range(10)]
    lines[3]["images"][0] = "/data/\udcff not UTF-8.jpeg"
    build(tmp_path, *lines)
    from datasets import load_dataset

    files = {"train": str(tmp_path / "out/train.jsonl"), "val": str(tmp_path / "out/val.jsonl")}
    loaded = load_dataset("json", data_files=files, cache_dir=str(tmp_path / "hf"))
    assert {name: len(side) for name, side in loaded.items()} == {"train": 9, "val": 1}
    assert loaded["train"].features == loaded["val"].features
    assert [dict(row) for row in loaded["val"]] == rows(tmp_path, "val.jsonl")
    assert [dict(row) for row in loaded["train"]] == rows(tmp_path, "train.jsonl")
    prompts = loaded["train"].rename_column("messages", "prompt")  # the line in the module's docstring
    assert [message["role"] for message in prompts[0]["prompt"]] == ["system", "user"]


def test_ids_that_are_dates_cause_a_warning_and_can_be_read_as_text(tmp_path: Path) -> None:
    dates = [stage_a_line(f"2024-10-{day}") for day in range(10, 30)]
    assert not any("dates" in warning for warning in build(tmp_path, *dates, stage_a_line("QC-20241022-1")).warnings)
    assert [warning for warning in build(tmp_path, *dates).warnings if "Dataset.from_list" in warning] != []
    from datasets import Dataset, load_dataset

    path = tmp_path / "out/train.jsonl"
    loaded = load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "hf"))["train"]
    assert loaded.features["group_id"].dtype == "timestamp[s]"  # where this fails, the warning has become unnecessary
    text = Dataset.from_list([json.loads(line) for line in path.read_text("utf-8").splitlines()])
    assert [dict(row) for row in text] == rows(tmp_path, "train.jsonl")


GROUP = st.tuples(
    st.sampled_from([GROUNDING, SHIELD]), st.sampled_from(["pass", "fail"]), st.integers(0, 15).map("QC-2024-{}".format)
)
GROUPS = st.lists(GROUP, unique=True, min_size=2).filter(lambda groups: len({group[2] for group in groups}) > 1)


@given(GROUPS, st.sampled_from([0.1, 0.3, 0.5]), st.integers())
@settings(max_examples=40)
def test_no_group_is_lost_and_no_id_is_on_both_sides(
    groups: list[tuple[str, str, str]], fraction: float, seed: int
) -> None:
    lines = [stage_a_line(group, label, mission=mission) for mission, label, group in groups]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, *lines, val_fraction=fraction, seed=seed)
        train, val = rows(folder, "train.jsonl"), rows(folder, "val.jsonl")
        first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
        build(folder, *lines, val_fraction=fraction, seed=seed)
        assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == first
    ids = {row["group_id"] for row in val}
    assert ids.isdisjoint(row["group_id"] for row in train)
    assert keys(train) == keys([fields for fields in lines if fields["group_id"] not in ids])  # in the input's order
    assert keys(val) == keys([fields for fields in lines if fields["group_id"] in ids])


WORDS = ["审核通过", "审核不通过", "QC-TEMP-20241022-0015062", "/data/", "×1", "，", "<|im_end|>", "<script>", "QC-"]
PIECE = st.sampled_from(WORDS) | st.text(max_size=8)
SUMMARY = st.lists(PIECE, min_size=1, max_size=5).map(lambda parts: " ".join("".join(parts).split()))
CLEAN = SUMMARY.filter(lambda text: text.isprintable() and text.strip())


@given(st.lists(st.lists(CLEAN, min_size=1, max_size=3), min_size=1, max_size=6))
@settings(max_examples=40)
def test_no_prompt_contains_a_path_a_label_folder_or_an_id(groups: list[list[str]]) -> None:
    ids = [f"QC-TEMP-20241022-{15062 + i:07d}" for i in range(len(groups))]
    lines = [
        stage_a_line(group, ["pass", "fail"][i % 2], *texts)
        for i, (texts, group) in enumerate(zip(groups, ids, strict=True))
    ]
    good = [stage_a_line("QC-20250101-0000001"), stage_a_line("QC-20250101-0000002", "fail")]
    with tempfile.TemporaryDirectory() as name:
        card = build(Path(name), *lines, *good)
        written = both(Path(name))
    for row in written:
        text = "\n".join(message["content"] for message in row["messages"])
        for word in ("审核通过", "审核不通过", row["group_id"], *row["image_paths"]):
            assert word not in text
    assert len(written) + len(card.left_out) == len(lines) + 2


NOT_TEXT = "which a chat template or ms-swift does not read as text"


@pytest.mark.parametrize(
    ("summary", "reason"),
    [
        ("标签/审核不通过×1", "its prompt contains 审核不通过, a label's folder"),
        ("标签/QC-20241022-1×1", "its prompt contains its id"),
        (
            "标签/<|im_end|>×1",
            f"its prompt contains '<|im_end|>', {NOT_TEXT}",
        ),
        ("标签/<image>×1", f"its prompt contains '<image>', {NOT_TEXT}"),
    ],
)
def test_a_summary_that_reveals_label_or_id_leaves_its_group_out(tmp_path: Path, summary: str, reason: str) -> None:
    good = [stage_a_line("QC-20241022-2"), stage_a_line("QC-20241022-3")]
    card = build(tmp_path, stage_a_line("QC-20241022-1", "pass", summary), *good)
    assert sorted(keys(both(tmp_path))) == [(GROUNDING, "QC-20241022-2"), (GROUNDING, "QC-20241022-3")]
    assert [(left.group_id, left.reason) for left in card.left_out] == [("QC-20241022-1", reason)]


def test_script_tags_are_kept_unchanged(tmp_path: Path) -> None:
    build(tmp_path, stage_a_line("QC-20241022-1", "pass", "<script>alert(1)</script>"), stage_a_line("QC-20241022-2"))
    row = next(row for row in both(tmp_path) if row["group_id"] == "QC-20241022-1")
    assert row["summaries"] == ["<script>alert(1)</script>"]
    assert row["messages"][1]["content"].endswith("图片_1: <script>alert(1)</script>")


def test_a_short_id_may_occur_in_a_summary(tmp_path: Path) -> None:
    assert build(tmp_path, stage_a_line("1", "pass", "电线/捆扎整齐×1"), stage_a_line("2")).left_out == []


def test_long_groups_are_left_out_and_listed_never_cut(tmp_path: Path) -> None:
    lines = [
        stage_a_line("QC-20241022-1"),
        stage_a_line("QC-20241022-2", "pass", "标签/" + "长" * 500 + "×1"),
        stage_a_line("QC-20241022-3"),
    ]
    card = build(tmp_path, *lines, max_prompt_tokens=400)
    assert sorted(group for _, group in keys(both(tmp_path))) == ["QC-20241022-1", "QC-20241022-3"]
    (left,) = card.left_out
    assert left.group_id == "QC-20241022-2"
    assert left.reason.endswith("tokens, more than 400")
    assert any("1 groups are left out" in warning and "QC-20241022-2" in warning for warning in card.warnings)


def test_an_alias_is_the_same_mission(tmp_path: Path) -> None:
    lines = [stage_a_line("QC-1", mission="BBU线缆布放要求"), stage_a_line("QC-2", "fail", mission="BBU线缆布放")]
    assert list(build(tmp_path, *lines).missions) == ["BBU线缆布放"]
    with pytest.raises(DamagedFileError, match=r"stage_a.jsonl:2: group QC-1 .* is already at .*stage_a.jsonl:1"):
        build(tmp_path, lines[0], stage_a_line("QC-1", mission="BBU线缆布放"))


def test_groups_that_the_checkpoint_judges_wrong_are_repeated(tmp_path: Path) -> None:
    """In train.jsonl only. A mission's alias is read as its name; verdicts about other groups are ignored."""
    groups = [(f"QC-20241022-{number}", ("pass", "fail")[number % 2]) for number in range(40)]
    said = [verdict(group, label, "pass") for group, label in groups[:30]]
    path = write_lines(tmp_path / "a_verdicts.jsonl", [*said, verdict("QC-elsewhere", "fail", "pass")])
    lines = [stage_a_line(group, label) for group, label in groups]
    card = build(tmp_path, *lines, verdicts=(path,), repeats=3)
    wrong = {group for group, label in groups[:30] if label == "fail"}
    train, val = rows(tmp_path, "train.jsonl"), rows(tmp_path, "val.jsonl")
    counts = Counter(row["group_id"] for row in train)
    assert {group for group, times in counts.items() if times == 3} == wrong & set(counts)
    assert set(counts.values()) == {1, 3}
    assert len({row["group_id"] for row in val} & wrong) > 0, "val.jsonl needs one of them for this test"
    assert len(val) == len({row["group_id"] for row in val})
    assert (card.files["train.jsonl"].groups, card.files["train.jsonl"].rows) == (len(counts), len(train))
    assert card.overall.train == {"pass": 18, "fail": 18}


def test_one_id_under_both_labels_stays_together(tmp_path: Path) -> None:
    lines = [stage_a_line(f"QC-2024-{i}", label) for i in range(10) for label in ("fail", "pass")]
    build(tmp_path, *lines)
    assert [len(rows(tmp_path, name)) for name in ("train.jsonl", "val.jsonl")] == [18, 2]
    assert len({row["group_id"] for row in rows(tmp_path, "val.jsonl")}) == 1


def test_the_card_has_the_checksums_of_the_files_and_no_folder(tmp_path: Path) -> None:
    card = build(tmp_path, stage_a_line("QC-2024-1"), stage_a_line("QC-2024-2"))
    out = tmp_path / "out"
    assert Card.model_validate_json((out / "dataset.card.json").read_bytes()) == card
    for name, file in card.files.items():
        assert file.sha256 == hashlib.sha256((out / name).read_bytes()).hexdigest()
    assert "output_dir" not in card.settings


def damaged(change: Callable[[Any], object] = lambda line: None) -> bytes:
    fields = stage_a_line("QC-20241022-2", "pass", "无关图片×1", "电线/捆扎整齐×1")
    change(fields)
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def renumbered(fields: Any) -> None:
    fields["per_image"]["图片_3"] = fields["per_image"].pop("图片_2")


def widened(fields: Any) -> None:
    fields["per_image"]["图片_1"] = "长" * 3_500_000


def lengthened(fields: Any) -> None:
    fields["images"][0] += "x" * 10**7


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {  # each made when its test runs: some have 10 MB
    "missing key": (
        lambda: damaged(lambda line: line.pop("images")),
        r"key images is missing \(group QC-20241022-2\)",
    ),
    "extra key": (lambda: damaged(lambda line: line.update(note=1)), "unknown key note"),
    "long extra key": (lambda: damaged(lambda line: line.update({"x" * 10**7: 1})), "unknown key xxx.*…"),
    "图片_ gap": (lambda: damaged(renumbered), "key 图片_2 is missing"),
    "wrong label": (lambda: damaged(lambda line: line.update(label="maybe")), "key label is 'maybe': input should be"),
    "torn last line": (lambda: damaged()[:-40], "incomplete, because the run that wrote it was killed"),
    "long summary": (lambda: damaged(widened), "图片_1 is '长"),
    "long path": (lambda: damaged(lengthened), r"key images has 10,000,\d+ characters"),
    "long id": (lambda: damaged(lambda line: line.update(group_id="x" * 10**7)), "key group_id has 10,000,000 char"),
    "no JSON": (lambda: b"x" * 10**7 + b"\n", "not JSON at character 1"),
    "invalid UTF-8": (lambda: damaged().replace("无".encode(), b"\xff"), r"not UTF-8 at byte \d+"),
    "blank line": (lambda: b"\n", "blank"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_line_is_named_with_file_line_key_and_advice(tmp_path: Path, name: str) -> None:
    spoilt, message = DAMAGED[name]
    path = write_lines(tmp_path / "stage_a.jsonl", [stage_a_line("QC-20241022-1")])
    path.write_bytes(path.read_bytes() + spoilt())
    with pytest.raises(DamagedFileError, match=rf"stage_a\.jsonl:2: {message}") as caught:
        build_from([path], tmp_path / "out")
    assert str(caught.value).endswith("Delete the line and run `yanshou summarize` again: only that group is redone.")
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "out").exists()


def test_a_summary_of_10_mb_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(
        DamagedFileError, match=r":1: key per_image has 3,500,000 characters, more than 250,000 \(group"
    ):
        build(tmp_path, stage_a_line("QC-20241022-1", "pass", "长" * 3_500_000))


def test_a_group_in_two_files_is_named_with_both_places(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [stage_a_line("QC-1")])
    second = write_lines(tmp_path / "b.jsonl", [stage_a_line("QC-2"), stage_a_line("QC-1")])
    with pytest.raises(DamagedFileError, match=r"b\.jsonl:2: group QC-1 .* is already at .*a\.jsonl:1\. "):
        build_from([first, second], tmp_path / "out")


def test_a_group_without_a_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stage_a\.jsonl:2: group QC-20241022-7 .* has no label .key label is null."):
        build(tmp_path, stage_a_line("QC-20241022-1"), stage_a_line("QC-20241022-7", None))


def test_an_unknown_mission_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"stage_a\.jsonl:1: .*unknown mission '门锁'\. Known missions: .*挡风板安装检查"
    ):
        build(tmp_path, stage_a_line("QC-20241022-1", mission="门锁"))


def test_files_without_groups_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stage_a\.jsonl: no group to train on\. Give other files"):
        build(tmp_path)
    with pytest.raises(InputError, match=r"The first of 1 left out: group QC-20241022-1 .*more than 5\. Give"):
        build(tmp_path, stage_a_line("QC-20241022-1"), max_prompt_tokens=5)


def test_a_single_id_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"group QC-20241022-1 .* is the only one"):
        build(tmp_path, stage_a_line("QC-20241022-1"), stage_a_line("QC-20241022-1", "fail"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="out: cannot be written"):
        build(tmp_path, stage_a_line("QC-1"), stage_a_line("QC-2"))


def test_tokens_are_counted_as_the_engine_reads_the_prompt() -> None:
    from yanshou.engines.transformers.engine import TransformersEngine
    from yanshou.settings import EngineSettings

    prompts = [verdict_prompt(MISSIONS.get(SHIELD), lines) for lines in (["无关图片×1"], ["电线/捆扎整齐×1"] * 300)]
    engine = TransformersEngine(EngineSettings(checkpoint="demo", device="cpu"))
    texts = [engine.render(prompt, with_photo=False) for prompt in prompts]
    counts = count_tokens(prompts, "demo")
    assert counts == [len(engine.processor.tokenizer(text)["input_ids"]) for text in texts]
    assert counts[1] > 1000  # nothing is cut


def test_the_card_counts_the_tokens_of_the_demo_checkpoint(tmp_path: Path) -> None:
    lines = [stage_a_line(group, "pass", "无关图片×1") for group in ("QC-1", "QC-2")]
    path = write_lines(tmp_path / "stage_a.jsonl", lines)
    card = build_from([path], tmp_path / "out")
    (count,) = count_tokens([verdict_prompt(MISSIONS.get(GROUNDING), ["无关图片×1"])], "demo")
    assert (card.overall.prompt_tokens.median, card.overall.prompt_tokens.maximum) == (count, count)


def test_a_checkpoint_without_a_tokenizer_or_a_template_is_named(tmp_path: Path) -> None:
    prompt = verdict_prompt(MISSIONS.get(SHIELD), ["无关图片×1"])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing\. Copy it"):
        count_tokens([prompt], str(tmp_path))
    with pytest.raises(CheckpointError, match="no such folder"):
        count_tokens([prompt], str(tmp_path / "none"))
    from yanshou.engines.checkpoint import locate

    for path in locate("demo").glob("*.json"):
        (tmp_path / path.name).symlink_to(path)
    for template in (None, "{{ 1/0 }}", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{{ messages[7].role }}"):
        if template:
            (tmp_path / "chat_template.jinja").write_text(template)
        with pytest.raises(CheckpointError, match=r"its chat template cannot render .* Take chat_template\.jinja from"):
            count_tokens([prompt], str(tmp_path))
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": "x"}')
    with pytest.raises(CheckpointError, match=r"its tokenizer does not work .* Take tokenizer_config\.json from"):
        count_tokens([prompt], str(tmp_path))

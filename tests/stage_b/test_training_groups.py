"""What a checkpoint was trained on: the record of one training, and of several."""

from pathlib import Path

from support.lines import write_lines
from support.training_rows import rows

from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey
from yanshou.stage_b.training_groups import NAME, Source, group_digest, read_training_groups, training_groups
from yanshou.storage.jsonl import dump_line

MISSIONS = load_missions()


def test_a_record_holds_the_groups_of_earlier_trainings_too(tmp_path: Path) -> None:
    sft, (named, unnamed) = rows(2, 1), rows(2, 2)
    del unnamed["group_id"]
    first = training_groups(write_lines(tmp_path / "sft.jsonl", sft), Source(tmp_path, False), "aa", MISSIONS)
    (tmp_path / NAME).write_bytes(dump_line(first))
    assert read_training_groups(tmp_path) == first
    file = write_lines(tmp_path / "grpo.jsonl", [named, unnamed])
    second = training_groups(file, Source(tmp_path, False), "bb", MISSIONS)
    digests = {group_digest(GroupKey(row["mission"], None, row["group_id"])) for row in (*sft, named)}
    assert (set(second.groups), second.unnamed_rows, second.complete) == (digests, 1, True)
    assert (second.checkpoint, len(second.groups)) == ("bb", 3)


def test_an_earlier_training_without_a_record_is_a_gap(tmp_path: Path) -> None:
    file, old = write_lines(tmp_path / "rows.jsonl", rows(1)), tmp_path / "old" / "final"
    old.mkdir(parents=True)
    assert training_groups(file, Source(old, False), "aa", MISSIONS).complete
    assert not training_groups(file, Source(old, True), "aa", MISSIONS).complete, "an adapter has been trained"
    (old.parent / "train.run.json").touch()
    assert not training_groups(file, Source(old, False), "aa", MISSIONS).complete


def test_a_group_is_known_under_either_label() -> None:
    keys = [GroupKey("挡风板安装检查", label, "QC-1") for label in ("pass", "fail", None)]
    assert len({group_digest(key) for key in keys}) == 1
    assert group_digest(keys[0]) != group_digest(keys[0]._replace(group_id="QC-2"))

"""No policy from groups that the judge was trained on, where that is known; where it is not, that is said."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.judged_files import amend, write_judged
from support.lines import GROUNDING, verdict
from support.training_rows import rows, write_dataset

from yanshou.errors import DamagedFileError, InputError
from yanshou.evaluate import Evaluation, evaluate
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey
from yanshou.settings import ThresholdSettings
from yanshou.stage_b.training_groups import NAME, TrainingGroups, group_digest
from yanshou.storage.jsonl import dump_line

MISSIONS = load_missions()
PRINT = "4f0c21ab" * 8
Train = Callable[..., None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.fixture
def verdicts(tmp_path: Path, model: Path) -> Path:
    """Two groups, which the checkpoint in `model` judged."""
    path = write_judged(tmp_path, [verdict("QC-1", "pass", p=0.9), verdict("QC-2", "fail", "fail", p=0.1)])
    amend(path, environment={"checkpoint_folder": str(model)}, checkpoint=PRINT)
    return path


@pytest.fixture
def train(model: Path) -> Train:
    def write(*groups: str, checkpoint: str = PRINT, unnamed_rows: int = 0, complete: bool = True) -> None:
        digests = [group_digest(GroupKey(GROUNDING, None, group)) for group in groups]
        record = TrainingGroups(
            format=1, checkpoint=checkpoint, groups=digests, unnamed_rows=unnamed_rows, complete=complete
        )
        (model / NAME).write_bytes(dump_line(record))

    return write


def promised(verdicts: Path, *only: Path) -> Evaluation:
    return evaluate([verdicts], None, MISSIONS, ThresholdSettings(max_false_release=0.3), only=only)


def known(result: Evaluation) -> bool | None:
    assert result.policy
    said = any("it is not known whether the judge was trained on" in warning for warning in result.warnings)
    trained_on_these = result.policy.missions[GROUNDING].trained_on_these
    assert said == (trained_on_these is None)
    return trained_on_these


def test_groups_that_the_judge_was_trained_on_give_no_policy(verdicts: Path, train: Train) -> None:
    train("QC-2", "QC-7")
    with pytest.raises(InputError, match=r"trained on 1 of the evaluated groups, first .*QC-2.*--only data/val\.jsonl"):
        promised(verdicts)
    assert evaluate([verdicts], None, MISSIONS).policy is None, "figures without a promise are computed"


def test_no_group_in_the_record_is_known(verdicts: Path, train: Train) -> None:
    train("QC-7")
    assert known(promised(verdicts)) is False


def test_without_a_record_it_is_unknown(verdicts: Path) -> None:
    assert known(promised(verdicts)) is None


def test_the_record_of_other_weights_says_nothing(verdicts: Path, train: Train) -> None:
    train("QC-2", checkpoint="0" * 64)
    assert known(promised(verdicts)) is None


@pytest.mark.parametrize("gap", [{"unnamed_rows": 1}, {"complete": False}])
def test_a_record_with_gaps_excludes_nothing(verdicts: Path, train: Train, gap: dict[str, int]) -> None:
    train("QC-7", **gap)
    assert known(promised(verdicts)) is None


def test_an_adapter_was_trained_on_groups_that_its_base_does_not_list(verdicts: Path, train: Train) -> None:
    train("QC-7")
    amend(verdicts, adapter="77aa90ff")
    assert known(promised(verdicts)) is None
    train("QC-1")
    with pytest.raises(InputError, match=r"first .*QC-1"):
        promised(verdicts)


def test_rules_are_not_trained(verdicts: Path) -> None:
    amend(verdicts, checkpoint="rules")
    assert known(promised(verdicts)) is False


def test_a_damaged_record_is_refused(verdicts: Path, model: Path) -> None:
    (model / NAME).write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(DamagedFileError, match=rf"{NAME}: .*Move the file away"):
        promised(verdicts)


def test_the_training_file_of_a_card_gives_no_policy_unless_the_judge_did_not_see_it(
    verdicts: Path, train: Train, tmp_path: Path
) -> None:
    row = {**rows(1)[0], "mission": GROUNDING, "group_id": "QC-1", "solution": "通过"}
    data = write_dataset(tmp_path / "data", train=[row], val=[{**row, "group_id": "QC-2", "solution": "不通过"}])
    with pytest.raises(InputError, match=r"train\.jsonl: by the card beside it this file is for training.*--only"):
        promised(verdicts, data / "train.jsonl")
    assert known(promised(verdicts, data / "val.jsonl")) is None
    train("QC-2")
    assert known(promised(verdicts, data / "train.jsonl")) is False

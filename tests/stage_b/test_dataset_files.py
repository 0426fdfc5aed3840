"""A dataset's files are compared with their card: `train` and `evaluate --only` take no mixture of two datasets."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.lines import stage_a_line, write_lines
from support.processes import killed_before_each_change
from support.training_rows import rows, write_dataset

from yanshou.cli import main
from yanshou.errors import DamagedFileError, InputError
from yanshou.stage_b.dataset_files import check_dataset_files

NOT_IT = r"train\.jsonl: this is not the file that dataset\.card\.json beside it describes: its SHA-256 is "
FILES = ("train.jsonl", "val.jsonl", "dataset.card.json")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", train=rows(6, 1), val=rows(2, 2))


def test_the_files_that_a_card_describes_are_accepted(data: Path) -> None:
    """Under another name, too."""
    shutil.copy(data / "train.jsonl", data / "first.jsonl")
    assert check_dataset_files([data / name for name in ("train.jsonl", "val.jsonl", "first.jsonl")]) == []
    (data / "train.jsonl").unlink()
    assert check_dataset_files([data / "val.jsonl"]) == []


@pytest.mark.parametrize("change", ["another dataset", "a row less", "the other file", "CRLF"])
def test_a_file_that_is_not_that_of_the_card_is_refused(data: Path, change: str) -> None:
    train = data / "train.jsonl"
    text = train.read_bytes()
    content = {
        "another dataset": write_lines(data / "x", rows(6, 3)).read_bytes(),
        "a row less": text[text.index(b"\n") + 1 :],
        "the other file": (data / "val.jsonl").read_bytes(),
        "CRLF": text.replace(b"\n", b"\r\n"),
    }[change]
    train.write_bytes(content)
    for named in ("train.jsonl", "val.jsonl"):  # who evaluates on val.jsonl asks what train.jsonl does not hold
        with pytest.raises(InputError, match=NOT_IT):
            check_dataset_files([data / named])


def test_a_file_without_a_card_gives_a_warning(data: Path) -> None:
    other = write_lines(data / "selected.jsonl", rows(1))
    (warning,) = check_dataset_files([other])
    assert warning == f"{other}: dataset.card.json beside it does not describe this file"
    (data / "dataset.card.json").unlink()
    (warning,) = check_dataset_files([data / "train.jsonl"])
    assert "there is no dataset.card.json beside it" in warning


@pytest.mark.parametrize("files", [None, [], "train.jsonl", {"train.jsonl": "0"}, {"train.jsonl": {"rows": 1}}])
def test_a_card_without_checksums_is_named(data: Path, files: object) -> None:
    card = data / "dataset.card.json"
    card.write_text(json.dumps({"files": files}))
    with pytest.raises(DamagedFileError, match=r"card\.json: key files is .*, not the files with their checksums"):
        check_dataset_files([data / "train.jsonl"])
    card.write_bytes(b"\x00" * 100)
    with pytest.raises(DamagedFileError, match=r"card\.json: "):
        check_dataset_files([data / "train.jsonl"])


def yanshou(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_killed_dataset_is_the_old_one_or_the_new_one_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it opens, renames or removes one of its files."""
    monkeypatch.setattr("yanshou.stage_b.dataset.count_tokens", lambda prompts, *_: [1] * len(prompts))
    lines = [stage_a_line(f"QC-20241022-{number}", ("pass", "fail")[number % 2]) for number in range(20)]
    source, out = write_lines(tmp_path / "a_stage_a.jsonl", lines), tmp_path / "out"

    def dataset(seed: int) -> Result:
        return yanshou("dataset", "--output-dir", out, "--seed", seed, source)

    def content() -> list[bytes]:
        return [(out / name).read_bytes() if (out / name).exists() else b"" for name in FILES]

    assert dataset(1).exit_code == 0
    new = content()
    assert dataset(0).exit_code == 0
    old, refused, states = content(), 0, set()
    assert all(one != other for one, other in zip(old, new, strict=True))
    train = ["train", "--dry-run", "--checkpoint", "demo", "--output-dir", tmp_path / "run"]
    for _ in killed_before_each_change(out, lambda: dataset(1)):
        left = content()
        states.add(tuple(left))
        if left not in (old, new):
            result = yanshou(*train, "--train-file", out / "train.jsonl", "--val-file", out / "val.jsonl")
            reason = "was ended between two files" if left[1] else "val.jsonl' does not exist"
            assert (result.exit_code > 0, reason in result.stderr) == (True, True), result.stderr
            assert set(left) <= {*old, b""} or set(left) <= {*new, b""}
            refused += 1
        for name, data in zip(FILES, old, strict=True):
            (out / name).write_bytes(data)
    assert content() == new
    assert refused == 4
    assert tuple(old) in states


def test_training_on_a_mixture_of_two_datasets_is_refused(data: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", train=rows(6, 5), val=rows(2, 6))
    shutil.copy(other / "train.jsonl", data)
    train = ["train", "--dry-run", "--checkpoint", "demo", "--output-dir", tmp_path / "run"]
    result = yanshou(*train, "--train-file", data / "train.jsonl", "--val-file", data / "val.jsonl")
    assert (result.exit_code, "this is not the file that" in result.stderr) == (1, True), result.stderr
    result = yanshou(*train, "--train-file", other / "train.jsonl", "--val-file", other / "val.jsonl")
    assert (result.exit_code, result.stderr) == (0, "")


def test_groups_that_are_trained_on_and_validated_on_are_counted(tmp_path: Path) -> None:
    """Two files that agree with their cards, of two datasets with other seeds."""
    first = write_dataset(tmp_path / "a", train=rows(6, 1), val=rows(2, 2))
    second = write_dataset(tmp_path / "b", train=rows(6, 2), val=[*rows(2, 1), *rows(1, 7)])
    result = yanshou(
        "train", "--dry-run", "--checkpoint", "demo", "--output-dir", tmp_path / "run",
        "--train-file", first / "train.jsonl", "--val-file", second / "val.jsonl",
    )  # fmt: skip
    assert result.exit_code == 0
    assert f"warning: 2 of the 3 group ids in {second / 'val.jsonl'} are in" in result.stderr
    assert "for example QC-1-0" in result.stderr

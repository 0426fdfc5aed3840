"""A dataset's files as their readers meet them: the card's checksums say whether they are those of one run."""

from collections.abc import Collection, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.storage.file_set import is_unfinished
from yanshou.storage.jsonl import read_errors, read_object
from yanshou.text import excerpt, printable

TRAIN, VAL, CARD = "train.jsonl", "val.jsonl", "dataset.card.json"


def check_dataset_files(paths: Collection[Path]) -> list[str]:
    """Compares the folders of a dataset's files with their cards; returns warnings where there is nothing to compare.

    Raises InputError for a folder with a file that its card does not describe, though it has its name, because the
    files of a dataset are true only together; and for a folder in which a run of `yanshou dataset` was killed.
    """
    named = [path for path in paths if path.is_file()]  # of a pipe or a missing file, its reader says what is wrong
    for folder in dict.fromkeys(path.parent for path in paths):
        _check_folder(folder)
    return [warning for path in named for warning in _warnings(path)]


def _check_folder(folder: Path) -> None:
    card = folder / CARD
    if is_unfinished(card):
        raise InputError(
            f"{printable(folder)}: a run of `yanshou dataset` into this folder was ended between two files, or is "
            "writing them now. Run it again."
        )
    for name, expected in _checksums(card).items() if card.exists() else ():
        path = folder / Path(name).name
        if path.is_file() and (found := file_sha256(path)) != expected:
            raise InputError(
                f"{printable(path)}: this is not the file that {CARD} beside it describes: its SHA-256 is "
                f"{found[:12]}…, in the card {expected[:12]}…. It was changed, or is of another dataset. Build the "
                "dataset again with `yanshou dataset`, or move a file that was changed on purpose to a folder of its "
                "own."
            )


def _warnings(path: Path) -> Iterator[str]:
    card = path.parent / CARD
    if not card.exists():
        yield f"{printable(path)}: there is no {CARD} beside it, so nothing says whether the file is complete"
        return
    described = _checksums(card)
    if path.name not in described and file_sha256(path) not in described.values():
        yield f"{printable(path)}: {CARD} beside it does not describe this file"


def is_training_file(path: Path) -> bool:
    """Whether the card beside a dataset file says that it is the one for training."""
    card = path.parent / CARD
    return path.is_file() and card.exists() and _checksums(card).get(TRAIN) == file_sha256(path)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content. Raises InputError."""
    with read_errors(path), path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _checksums(card: Path) -> dict[str, str]:
    """The SHA-256 of each file that the card describes."""
    advice = "Build the dataset again with `yanshou dataset`."
    files: Any = read_object(card, advice).get("files")
    try:
        return {str(name): str(file["sha256"]) for name, file in files.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"{printable(card)}: key files is {excerpt(files)}, not the files with their checksums. {advice}"
        ) from error

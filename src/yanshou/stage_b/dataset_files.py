"""A dataset's files as their readers meet them: the card's checksums say whether they are those of one run."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.storage.file_set import is_unfinished
from yanshou.storage.jsonl import read_object
from yanshou.text import excerpt, printable

TRAIN, VAL, CARD = "train.jsonl", "val.jsonl", "dataset.card.json"


def check_dataset_file(path: Path) -> list[str]:
    """Compares a file of a dataset with the card beside it; returns a warning where there is none to compare with.

    Raises InputError for a file that the card does not describe, and where a run of `yanshou dataset` was killed.
    """
    card = path.parent / CARD
    if is_unfinished(card):
        raise InputError(
            f"{printable(path.parent)}: a run of `yanshou dataset` into this folder was ended between two files, or is "
            "writing them now. Run it again."
        )
    if not path.is_file():  # a pipe, or missing: who reads it says so
        return []
    if not card.exists():
        return [f"{printable(path)}: there is no {CARD} beside it, so nothing says whether the file is complete"]
    described, found = _checksums(card), _sha256(path)
    if path.name in described and described[path.name] != found:
        raise InputError(
            f"{printable(path)}: this is not the file that {CARD} beside it describes: its SHA-256 is {found[:12]}…, "
            f"in the card {described[path.name][:12]}…. It was changed, or is of another dataset. Build the dataset "
            "again with `yanshou dataset`, or move a file that was changed on purpose to a folder of its own."
        )
    if found not in described.values():
        return [f"{printable(path)}: {CARD} beside it does not describe this file"]
    return []


def _sha256(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}. Check the path.") from error


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

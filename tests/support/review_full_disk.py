"""A reader whose store is on a disk that fills up: `python -m support.review_full_disk FOLDER`, FOLDER a small disk.

Prints what the refused answer's error says, after the same answer has been taken once there was room.
"""

import sys
from contextlib import suppress
from pathlib import Path

from support.review_answers import People, key, open_store
from support.review_rows import answer_rows
from yanshou.review.answers import NewAnswer
from yanshou.review.store import Store
from yanshou.review.store_errors import DiskFullError

KEYS = [key(f"QC-{number}") for number in range(200)]


def main(folder: Path) -> None:
    path = folder / "review.sqlite"
    with open_store(path, KEYS) as store:
        people = People(store)
        session = people.session("李")
        ballast = fill(folder)
        answers = [NewAnswer(f"uid-{number}", people.ids[key], "pass", "x" * 400) for number, key in enumerate(KEYS)]
        kept, error = answer_until_full(store, session, answers)
        assert len(answer_rows(store)) == kept
        ballast.unlink()
        for _ in range(2):
            store.answer(session, answers[kept])
        assert len(answer_rows(store)) == kept + 1
    with Store.open(path) as store:
        assert len(answer_rows(store)) == kept + 1
    print(error)


def fill(folder: Path) -> Path:
    """A file that leaves no room."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def answer_until_full(store: Store, session: str, answers: list[NewAnswer]) -> tuple[int, DiskFullError]:
    """How many answers were taken, and the error of the next."""
    for number, answer in enumerate(answers):
        try:
            store.answer(session, answer)
        except DiskFullError as error:
            return number, error
    raise AssertionError("the disk never was full")


main(Path(sys.argv[1]))

"""Guarantees of `stage_a.assembly`: groups come out checked, in input order, whatever order the answers come in."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.engines.base import Completion, Failure, Request
from yanshou.errors import GenerationError, PhotoError, SummaryError
from yanshou.inputs.discovery import Group
from yanshou.pipeline.outcome import Outcome
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey
from yanshou.stage_a.assembly import GroupAssembler, parse_answer

PROMPT = Prompt("system", "user")
MISSION = "挡风板安装检查"
PhotoTree = Callable[..., Path]


class ShuffledEngine:
    """Answers every photo with its own path, in a random order within a window of requests."""

    data_wait_s, out_of_memory = 0.0, 0

    def __init__(self, seed: int = 0, window: int = 6, **answers: str | Exception) -> None:
        self.random, self.window, self.answers = random.Random(seed), window, answers
        self.requests: list[Request] = []

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        waiting: list[Request] = []
        for request in requests:
            self.requests.append(request)
            waiting.append(request)
            if len(waiting) == self.window:
                yield self._answer(waiting.pop(self.random.randrange(self.window)))
        self.random.shuffle(waiting)
        yield from map(self._answer, waiting)

    def _answer(self, request: Request) -> Completion | Failure:
        assert isinstance(request.photo, Path)
        name = f"{request.photo.parent.name}/{request.photo.name}"
        answer = self.answers.get(name, name)
        if isinstance(answer, Exception):
            return Failure(request.id, answer)
        return Completion(request.id, answer.removesuffix("✂"), "length" if answer.endswith("✂") else "stop", 7)

    def stop(self) -> None: ...

    def identity(self) -> dict[str, Any]:
        return {}

    def environment(self) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    """Six groups of 1 to 5 photos, which no test opens."""
    parent = tmp_path_factory.mktemp("审核通过")
    for name, count in zip("ABCDEF", (3, 1, 2, 5, 1, 4), strict=True):
        (parent / name).mkdir()
        for number in range(1, count + 1):
            (parent / name / f"{number}.jpg").touch()
    return groups(parent, *"ABCDEF")


def groups(parent: Path, *names: str) -> list[Group]:
    return [Group(GroupKey(MISSION, "pass", name), parent, name) for name in names]


def contents(outcomes: Iterable[Outcome]) -> list[Any]:
    """A group's clean texts, or its errors as (photo, message)."""
    return [
        outcome.record.clean_texts
        if outcome.record
        else [(photo.name if photo else None, str(error)) for photo, error in outcome.errors]
        for outcome in outcomes
    ]


def texts(jobs: Sequence[Group]) -> list[Any]:
    return [[f"{group.name}/{photo.name}" for photo in group.photos()] for group in jobs]


@given(st.lists(st.integers(0, 5), unique=True), st.integers(), st.integers(1, 20))
def test_groups_come_out_in_input_order_whatever_order_the_answers_have(
    jobs: list[Group], order: list[int], seed: int, window: int
) -> None:
    chosen = [jobs[at] for at in order]
    outcomes = list(GroupAssembler(ShuffledEngine(seed, window), PROMPT).run(chosen))
    assert [outcome.key for outcome in outcomes] == [group.key for group in chosen]
    assert contents(outcomes) == texts(chosen)


@given(st.sets(st.sampled_from(["A/1.jpg", "A/3.jpg", "B/1.jpg", "D/2.jpg", "D/5.jpg", "F/4.jpg"])), st.integers())
def test_only_groups_with_a_bad_photo_fail(jobs: list[Group], bad: set[str], seed: int) -> None:
    engine = ShuffledEngine(seed, **{name: PhotoError(f"{name} is bad") for name in bad})
    expected = [
        [(name.split("/")[1], f"{name} is bad") for name in names if name in bad] or names for names in texts(jobs)
    ]
    assert contents(GroupAssembler(engine, PROMPT).run(jobs)) == expected


def test_a_group_comes_out_as_soon_as_its_last_photo_is_answered(jobs: list[Group]) -> None:
    engine = ShuffledEngine(window=1)
    outcomes = GroupAssembler(engine, PROMPT).run(jobs)
    assert next(outcomes).key.group_id == "A"
    assert len(engine.requests) == 3


def test_requests_carry_the_photo_and_the_prompt_and_photos_are_listed_only_when_asked_for(jobs: list[Group]) -> None:
    engine = ShuffledEngine(window=4)
    next(GroupAssembler(engine, PROMPT).run(iter(jobs)))
    assert [(request.id, request.prompt, request.photo) for request in engine.requests[:4]] == [
        (number, PROMPT, photo) for number, photo in enumerate([*jobs[0].photos(), *jobs[1].photos()])
    ]


def test_a_record_has_raw_and_clean_texts_and_absolute_paths(
    photo_tree: PhotoTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_tree({"A": ["10.jpg", "9.jpg"]})
    monkeypatch.chdir(root)
    engine = ShuffledEngine(
        **{"A/9.jpg": '{"图片_1": "标签/5G-BBU×1"}<|im_end|>', "A/10.jpg": " 无关图片×1\n<|im_end|>"}
    )
    (outcome,) = GroupAssembler(engine, PROMPT).run(groups(Path(), "A"))
    assert outcome.record is not None
    assert outcome.record.model_dump(exclude={"timestamp"}) == {
        "group_id": "A",
        "mission": MISSION,
        "label": "pass",
        "images": [str(root / "A" / "9.jpg"), str(root / "A" / "10.jpg")],
        "per_image": {"图片_1": "标签/5G-BBU×1", "图片_2": "无关图片×1"},
        "raw_texts": ['{"图片_1": "标签/5G-BBU×1"}<|im_end|>', " 无关图片×1\n<|im_end|>"],
        "clean_texts": ["标签/5G-BBU×1", "无关图片×1"],
    }


def test_all_errors_of_a_group_are_reported_in_the_order_of_its_photos(jobs: list[Group]) -> None:
    engine = ShuffledEngine(
        window=3, **{"D/5.jpg": PhotoError("E5", "copy it"), "D/1.jpg": "<|im_end|>", "D/3.jpg": "电线/捆扎✂"}
    )
    (outcome,) = GroupAssembler(engine, PROMPT).run(jobs[3:4])
    assert outcome.record is None
    assert [fault.model_dump(exclude={"advice"}) for fault in outcome.faults] == [
        {"mission": MISSION, "label": "pass", "group_id": "D", "photo": photo, "step": step, "message": message,
         "timestamp": ""}
        for photo, step, message in [
            ("1.jpg", "check", "the summary is empty: the model wrote '<|im_end|>'"),
            ("3.jpg", "generate", "the answer was cut off after 7 tokens: …'电线/捆扎'"),
            ("5.jpg", "load", "E5"),
        ]
    ]  # fmt: skip
    assert all(fault.advice for fault in outcome.faults)


def test_answers_that_were_cut_off_can_be_accepted(jobs: list[Group]) -> None:
    engine = ShuffledEngine(**{"B/1.jpg": "电线/捆扎✂"})
    assert contents(GroupAssembler(engine, PROMPT, allow_truncated=True).run(jobs[1:2])) == [["电线/捆扎"]]


def test_a_group_whose_photos_vanish_fails_and_no_other(photo_tree: PhotoTree) -> None:
    root = photo_tree({"A": 1, "B": 1, "C": 1, "D": 1})
    (root / "B" / "1.jpg").unlink()
    (root / "D" / "1.jpg").unlink()
    (root / "D").rmdir()
    first, gone, third, no_folder = contents(GroupAssembler(ShuffledEngine(), PROMPT).run(groups(root, *"ABCD")))
    assert (first, third) == (["A/1.jpg"], ["C/1.jpg"])
    assert gone == [(None, f"{root / 'B'}: the photos are gone")]
    assert no_folder == [(None, f"{root / 'D'}: the group's folder cannot be read (No such file or directory)")]


def test_groups_whose_photos_all_vanished_fail_without_a_request(tmp_path: Path) -> None:
    outcomes = list(GroupAssembler(ShuffledEngine(), PROMPT).run(groups(tmp_path, "A", "B")))
    assert [(outcome.key.group_id, outcome.record) for outcome in outcomes] == [("A", None), ("B", None)]


def test_groups_that_a_stopped_engine_left_unanswered_have_no_outcome(jobs: list[Group]) -> None:
    class Stopping(ShuffledEngine):
        def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
            for answer, _ in zip(super().generate(requests), range(5), strict=False):
                yield answer

    outcomes = GroupAssembler(Stopping(window=1), PROMPT).run(jobs)
    assert [outcome.key.group_id for outcome in outcomes] == ["A", "B"]  # one of C's two photos is not answered


def test_an_engine_may_give_any_iterator(jobs: list[Group]) -> None:
    class Listing(ShuffledEngine):
        def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
            return iter(list(super().generate(requests)))

    assert contents(GroupAssembler(Listing(), PROMPT).run(jobs)) == texts(jobs)


def test_the_callback_gets_every_answer_once(jobs: list[Group]) -> None:
    answered: list[int] = []
    list(GroupAssembler(ShuffledEngine(), PROMPT, on_answer=lambda answer: answered.append(answer.id)).run(jobs))
    assert sorted(answered) == list(range(16))


def test_sampling_keys_are_unique_and_do_not_depend_on_where_the_folder_is(photo_tree: PhotoTree) -> None:
    def keys(parent: Path) -> list[str]:
        engine, label = ShuffledEngine(), "pass" if parent.name == "审核通过" else "fail"
        chosen = [Group(GroupKey(MISSION, label, name), parent, name) for name in ("A", "B")]
        list(GroupAssembler(engine, PROMPT).run(chosen))
        return [request.key for request in engine.requests]

    tree = {"审核通过/A": 2, "审核通过/B": 1, "审核不通过/A": 2, "审核不通过/B": 1}
    here, there = photo_tree(tree, "here"), photo_tree(dict(reversed(tree.items())), "moved/elsewhere")
    passed, failed = keys(here / "审核通过"), keys(here / "审核不通过")
    assert len({*passed, *failed}) == 6
    assert (keys(there / "审核通过"), keys(there / "审核不通过")) == (passed, failed)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Failure(0, PhotoError("bad")), PhotoError, "bad"),
        (Completion(0, "  <|im_end|>", "stop"), SummaryError, "the summary is empty: the model wrote '  <|im_end|>'"),
        (
            Completion(0, "x" * 50, "length", 9),
            GenerationError,
            f"the answer was cut off after 9 tokens: …'{'x' * 40}'",
        ),
    ],
)
def test_an_answer_that_is_no_summary_is_a_value_error(
    answer: Completion | Failure, error: type[ValueError], message: str
) -> None:
    with pytest.raises(error) as caught:
        parse_answer(answer)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == message

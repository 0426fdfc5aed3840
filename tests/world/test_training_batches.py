"""Training batches: reproducible, with targets at the answers only, and verdicts of a hasty reviewer."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoProcessor

from yanshou.missions import load_missions
from yanshou.missions.rules import decide
from yanshou.schema.summary import parse
from yanshou.stage_b.reason import GroupReasons
from yanshou.world.draw import SIZES
from yanshou.world.jobs import Job, random_job
from yanshou.world.training_batches import CLOSE_UPS, IGNORED, VERDICT_SHARE, TrainBatches, hasty_verdict


@pytest.fixture(scope="module")
def batches(untrained: Path) -> TrainBatches:
    return TrainBatches(AutoProcessor.from_pretrained(untrained), seed=0, rows=2, first=0, last=100)


def test_a_batch_depends_on_seed_and_number_only(batches: TrainBatches) -> None:
    first, second = batches.batch(3), next(iter(TrainBatches(batches.prompts.processor, 0, 2, first=3, last=4)))

    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.targets, second.targets)
    assert first.photos is not None
    assert second.photos is not None
    assert torch.equal(first.photos, second.photos)


@pytest.mark.parametrize(
    ("share", "numbers", "summaries"),
    [(0.0, range(6, 9), [6, 7, 8]), (1.0, range(4), []), (0.85, range(14), [0, 6, 13]), (0.125, range(6, 9), [6, 8])],
)
def test_the_share_of_verdicts_decides_which_batches_have_no_photos(
    batches: TrainBatches, share: float, numbers: range, summaries: list[int]
) -> None:
    """Whatever the batch that a training resumes from."""
    resumed = TrainBatches(batches.prompts.processor, 0, 1, numbers.start, numbers.stop, verdict_share=share)
    assert [number for number, batch in zip(numbers, resumed, strict=True) if batch.photos is not None] == summaries


@pytest.mark.parametrize("number", [0, round(1 / VERDICT_SHARE) - 1])
def test_targets_are_the_shifted_answers_only(batches: TrainBatches, number: int) -> None:
    batch, tokenizer = batches.batch(number), batches.prompts.processor.tokenizer

    for ids, targets in zip(batch.ids, batch.targets, strict=True):
        wanted = targets != IGNORED
        assert torch.equal(targets[wanted], ids[1:][wanted[:-1]])
        assert not wanted[: batch.answer_from].any()
        assert tokenizer.decode(ids[: int(wanted.int().argmax()) + 1]).endswith("<|im_start|>assistant\n")
        assert tokenizer.decode(targets[wanted]).count("<|im_end|>") == 1
        assert tokenizer.decode(targets[wanted]).endswith("<|im_end|>")


@pytest.mark.parametrize("share", [0.125, 0.75, 0.85])
def test_photo_sizes_take_turns_whatever_the_share_of_verdicts(
    batches: TrainBatches, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = TrainBatches(batches.prompts.processor, 0, rows=1, first=0, last=400, verdict_share=share)
    monkeypatch.setattr(shared, "_verdicts", lambda rng: None)
    monkeypatch.setattr(shared, "_summaries", lambda rng, size, shown: size)
    monkeypatch.setattr("yanshou.world.training_batches.random_photo", lambda rng, missions, size: (None, None))
    sizes = [size for number in range(400) if (size := shared.batch(number)) is not None]
    assert sizes == [SIZES[number % len(SIZES)] for number in range(len(sizes))]
    assert abs(len(sizes) - 400 * (1 - share)) <= 1


def test_the_hasty_reviewer_notices_forbidden_items_and_often_overlooks_missing_ones() -> None:
    """Its verdicts are better than always prompt_end 通过, and leave GRPO something to improve."""
    rng = Random(0)
    missions = list(load_missions())
    jobs = [random_job(rng, missions[number % 4]) for number in range(400)]
    verdicts = [hasty_verdict(job, rng).split("\n") for job in jobs]

    assert all(len(lines) == 2 and lines[1].startswith("理由: ") and len(lines[1]) > 4 for lines in verdicts)
    right = [(lines[0] == "通过") == (job.label == "pass") for job, lines in zip(jobs, verdicts, strict=True)]
    assert 0.7 < sum(right) / len(right) < 0.95

    grounds = [decide(job.mission.rule, [parse(line) for line in job.lines()]).reason.split("；") for job in jobs]
    missing = [
        (lines, found)
        for job, lines, found in zip(jobs, verdicts, grounds, strict=True)
        if job.label == "fail" and not any(ground.startswith("图片") for ground in found)
    ]
    seen = [(lines, found) for lines, found in missing if lines[0] == "不通过"]
    assert 0.2 < len(seen) / len(missing) < 0.5
    assert sum(lines[1] == f"理由: {found[0]}" for lines, found in seen) > 0.8 * len(seen)


def test_the_hasty_reviewers_reasons_cite_what_is_there_and_are_sometimes_cut_short() -> None:
    """Most reasons of right verdicts are true and complete, the others incomplete; none says what is not there."""
    rng = Random(0)
    missions = list(load_missions())
    jobs = [random_job(rng, missions[number % 4]) for number in range(400)]
    outcomes = Counter(map(_right_verdicts_outcome, jobs, (hasty_verdict(job, rng) for job in jobs)))

    del outcomes["wrong verdict"]
    assert outcomes.keys() == {"grounded", "incomplete"}
    assert 0.7 < outcomes["grounded"] / outcomes.total() < 0.9


def _right_verdicts_outcome(job: Job, verdict: str) -> str:
    first, second = verdict.split("\n")
    if (first == "通过") != (job.label == "pass"):
        return "wrong verdict"
    group = GroupReasons(job.mission.rule, [parse(line) for line in job.lines()])
    return group.check(first == "通过", second.removeprefix("理由: ")).outcome


def test_the_first_batches_are_close_ups(batches: TrainBatches) -> None:
    with_close_ups = TrainBatches(batches.prompts.processor, 0, rows=2, first=0, last=8, close_ups=5)
    small, large = [with_close_ups.batch(number) for number in range(5)], with_close_ups.batch(5)
    sides = [(batch.photos.shape[2], batch.photos.shape[1]) for batch in small if batch.photos is not None]
    assert sides == list(CLOSE_UPS)
    assert max(batch.ids.shape[1] for batch in small) < large.ids.shape[1]
    assert torch.equal(large.ids, batches.batch(5).ids)

"""Promises of the continuous engine on a CPU: the reference engine's answers, and one capacity per run."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from support.checkpoints import TEXT, biased, edited, settings, spoilt, write_tiny
from support.photos import noise
from support.requests import LONG, SHORT, answers, continuous, mixed, photos

from yanshou.engines import Completion, Failure, Prompt, Request, load_engine
from yanshou.engines.base import OutOfMemoryError, RunPlan
from yanshou.engines.continuous import language_model, model_runner
from yanshou.engines.continuous.capacity import RECORDED
from yanshou.engines.continuous.device_state import DeviceState
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.language_model import KVCache
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError, UsageError
from yanshou.stage_b.verdict import FAIL, PASS

HERE = {"engine": "continuous", "device": "cpu"}
USUAL = dict(zip(RECORDED, (16, 4_096, 4_096), strict=True))


def plan(prompt: Prompt = SHORT, *earlier: dict[str, Any]) -> RunPlan:
    return RunPlan(prompt, photos=True, earlier=earlier)


def recorded(slots: object, tokens: object, visual_tokens: object) -> dict[str, Any]:
    """The environment of a run on this machine with that capacity."""
    return HERE | dict(zip(RECORDED, (slots, tokens, visual_tokens), strict=True))


def allocated(engine: ContinuousEngine) -> dict[str, int]:
    capacity = engine.stats().capacity
    assert capacity is not None
    return capacity.recorded


# ---- answers ----


def test_answers_of_another_architecture_equal_the_reference(tmp_path: Path) -> None:
    """Several layers of DeepStack, one key head per head, biases, photos normalized otherwise."""
    folder = write_tiny(
        tmp_path / "other", {"depth": 4, "deepstack_visual_indexes": [1, 2]},
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, attention_bias=True,
    )  # fmt: skip
    mean = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    edited("processor_config.json", **{f"image_processor__{name}": value for name, value in mean.items()})(folder)
    biased(folder)
    assert continuous(folder, mixed()) == answers(TransformersEngine(settings(folder)), mixed())


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_an_answer_does_not_depend_on_the_other_requests_or_their_order(tiny: Path, batch_size: int) -> None:
    requests = photos()
    whole = continuous(tiny, requests, temperature=1.0)
    assert continuous(tiny, requests[::-1], batch_size, temperature=1.0) == whole
    assert continuous(tiny, requests[4:5], batch_size, temperature=1.0) == {4: whole[4]}


def test_a_photo_that_cannot_be_read_fails_alone(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    found = continuous(tiny, [*photos(3), Request(9, SHORT, broken, "broken")])
    assert isinstance(found[9], Failure)
    assert all(isinstance(found[number], Completion) for number in range(3))


def test_stats_tell_what_happened(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    before = engine.stats()
    assert (before.capacity, before.completions, before.steps, before.running) == (None, 0, 0, 0)
    generated = engine.generate(photos(10))
    next(generated)
    during = engine.stats()
    assert 1 < during.running + during.waiting + during.completions <= 10
    found = [*generated]
    after = engine.stats()
    assert (after.completions, after.running, after.waiting, after.active_slots) == (10, 0, 0, 0)
    assert after.prefill_batches == after.cached_prefixes == 2  # one per prompt
    assert after.capacity is not None
    assert after.capacity.recorded == USUAL
    tokens = [answer.tokens for answer in found if isinstance(answer, Completion)]
    assert after.decoded_tokens > sum(tokens)  # and those of the first answer
    assert max(tokens) - 1 <= after.steps < after.decoded_tokens
    assert after.data_wait_s == engine.data_wait_s > 0


def test_the_log_shows_capacity_and_batches_and_no_single_token(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "yanshou.engines.continuous"):
        answers(ContinuousEngine(settings(tiny)), photos(4))
    records = [record for record in caplog.records if record.name.startswith("yanshou.engines.continuous")]
    (capacity,) = (record.message for record in records if record.levelno == logging.INFO)
    assert capacity.startswith("capacity: 16 slots of ")
    assert capacity.endswith(" tokens and prefill batches of 4,096 tokens (4,096 visual)")
    details = [record.message for record in records if record.levelno == logging.DEBUG]
    assert sum("prefill batch of 2 requests" in message for message in details) == 2
    assert len(details) == 4  # and the time that the slots took, and the totals


def test_two_runs_at_once_are_a_bug(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    first = engine.generate(photos(2))
    next(first)
    with pytest.raises(AssertionError, match="belong to one run"):
        next(engine.generate(photos(2)))
    first.close()  # type: ignore[attr-defined]
    assert answers(engine, photos(2)) == continuous(tiny, photos(2))


# ---- capacity ----


def test_a_resumed_run_keeps_its_capacity(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    for numbers in ((3, 4_096, 4_000), (5, 4_096, 4_000), (5, 4_000, 4_000), (5, 4_000, 3_900)):
        earlier = recorded(*numbers)
        engine.prepare_run(plan(SHORT, earlier))  # one mission after another
        assert engine.environment().items() >= earlier.items()
        assert list(engine.generate(photos(7)))
        assert tuple(allocated(engine).values()) == numbers
        assert engine.environment().items() >= earlier.items()


def test_runs_elsewhere_in_between_do_not_change_the_capacity(tiny: Path) -> None:
    here = recorded(3, 4_096, 4_000)
    elsewhere = [{"engine": "transformers", "device": "cpu"}, HERE | {"device": "a large GPU", "slots": 256}]
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(plan(SHORT, *elsewhere, here, HERE | {"slots": 5}))
    assert engine.environment().items() >= here.items()


def test_a_run_resumed_on_another_device_gets_a_new_plan(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(plan(SHORT, HERE | {"device": "a large GPU", "slots": 256}))
    assert engine.environment()["slots"] == 16


def test_a_capacity_too_small_for_any_photo_is_enlarged(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(plan(SHORT, recorded(2, 1, 1)))
    assert all(isinstance(answer, Completion) for answer in engine.generate(photos(3)))


def test_a_capacity_that_memory_no_longer_allows_is_not_kept(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(plan(SHORT, HERE | {name: 2 * number for name, number in USUAL.items()}))
    assert engine.environment().items() >= USUAL.items()


def test_a_run_that_was_halved_is_not_halved_again_when_it_is_resumed(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mission runs out of memory, the next one is resumed."""
    step = ContinuousRunner.step
    earlier: list[dict[str, Any]] = []
    for _ in range(3):
        engine, failures = ContinuousEngine(settings(tiny)), [OutOfMemoryError()]

        def once(runner: ContinuousRunner, failures: list[OutOfMemoryError] = failures) -> Any:
            if failures:
                raise failures.pop()
            return step(runner)

        monkeypatch.setattr(ContinuousRunner, "step", once)
        engine.prepare_run(plan())
        list(engine.generate(photos(2)))
        assert engine.out_of_memory == 1
        engine.prepare_run(plan(SHORT, *earlier))
        earlier = [engine.environment()]
        list(engine.generate(photos(2)))
        assert list(allocated(engine).values()) == [8, 2_048, 2_048]
        assert earlier[0].items() >= allocated(engine).items()


TEXT_ONLY = RunPlan(LONG, photos=False, earlier=[])


@pytest.mark.parametrize("before", [(), (plan(),), (TEXT_ONLY,), (TEXT_ONLY, plan(LONG))], ids=str)
@pytest.mark.parametrize("photos_only", [True, False])
@pytest.mark.parametrize("imposed", [(5, 4_500, 4_200), (16, 4_300, 4_000)])
def test_an_imposed_capacity_is_the_same_whatever_an_engine_did_before(
    tiny: Path, before: Sequence[RunPlan], photos_only: bool, imposed: tuple[int, int, int]
) -> None:
    """Several workers plan a run, the smallest capacity is imposed on all, and a worker that starts later gets it."""
    given = settings(tiny).model_copy(update={"batch_size": None})
    engine, requests = ContinuousEngine(given), photos(3) if photos_only else mixed()[4:6]
    for run in before:
        engine.prepare_run(run)
        answers(engine, photos(3, run.prompt) if run.photos else mixed()[4:6])
    run = RunPlan(SHORT if photos_only else LONG, photos=photos_only, earlier=[])
    engine.prepare_run(run)
    limits = dict(zip(RECORDED, imposed, strict=True))
    smallest = {name: min(limits[name], engine.environment()[name]) for name in RECORDED}
    for one in (engine, ContinuousEngine(given)):
        one.prepare_run(replace(run, earlier=[HERE | smallest, recorded(2, 100, 100)]))
        assert one.environment().items() >= smallest.items()
        assert all(isinstance(answer, Completion) for answer in one.generate(requests))
        assert allocated(one) == smallest


# ---- several engines in one run ----


def out_of_memory_once(engine: ContinuousEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's next decode step does not fit."""
    engine.load()
    runner = engine._runner
    assert runner
    failures, step = [OutOfMemoryError()], runner.step

    def limited() -> Any:
        if failures:
            raise failures.pop()
        return step()

    monkeypatch.setattr(runner, "step", limited)


def test_out_of_memory_elsewhere_gives_lines_and_capacity_of_the_engine_that_ran_out(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = continuous(tiny, photos())
    there, here, idle = (ContinuousEngine(settings(tiny)) for _ in range(3))
    for engine in (there, here, idle):
        engine.prepare_run(plan(LONG))
    out_of_memory_once(there, monkeypatch)
    assert answers(there, photos()) == whole
    generated = here.generate(photos())
    found = [next(generated)]
    for engine in (here, idle):  # one in the middle of a run, one without a runner
        caller = Thread(target=engine.reduce_capacity, args=(there.out_of_memory,))
        caller.start()
        caller.join()
    found += [*generated]
    assert {answer.id: answer for answer in found} == whole
    assert len(found) == len(whole)
    assert answers(idle, photos()) == whole
    for engine in (there, here, idle):
        assert allocated(engine) == dict(zip(RECORDED, (8, 2_048, 2_048), strict=True))
        assert engine.out_of_memory == 1
        assert engine.environment().items() >= USUAL.items()  # as the run began
    for engine in (there, here, idle):  # the next mission
        engine.prepare_run(plan(SHORT))
        assert engine.environment().items() >= dict(zip(RECORDED, (8, 2_048, 2_048), strict=True)).items()


def test_out_of_memory_elsewhere_fails_no_photo_where_the_capacity_is_minimal(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(plan(LONG))
    found = []
    for answer in engine.generate(photos()):
        found.append(answer)
        engine.reduce_capacity(3 * len(found))
    assert {answer.id: answer for answer in found} == continuous(tiny, photos())
    capacity = engine.stats().capacity
    assert capacity
    assert (capacity.slots, capacity.is_minimal) == (1, True)


def test_a_capacity_reduced_between_runs_is_not_that_of_the_slots_at_hand(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    for reduced, slots in ((0, 16), (1, 8), (1, 8), (2, 4)):
        engine.reduce_capacity(reduced)
        engine.prepare_run(plan())
        assert engine.environment()["slots"] == slots
        answers(engine, photos(2))
        assert allocated(engine)["slots"] == slots


@pytest.mark.parametrize(("slots", "batch_size"), [(1, None), (3, 64), (16, None), (16, 1), (16, 4)])
def test_it_holds_at_most_as_many_requests_as_it_says(tiny: Path, slots: int, batch_size: int | None) -> None:
    engine = ContinuousEngine(settings(tiny, max_new_tokens=3).model_copy(update={"batch_size": batch_size}))
    engine.prepare_run(plan(SHORT, recorded(slots, 4_096, 4_096)))
    held, most = 0, 0

    def live() -> Iterator[Request]:
        nonlocal held, most
        for number in range(80):
            held += 1
            most = max(most, held)
            yield Request(number, SHORT, noise(number % 5, 64, 64), str(number))

    for _ in engine.generate(live()):
        held -= 1
        if most == 30:
            engine.reduce_capacity(1)
    assert held == 0
    assert most <= engine.in_flight
    assert most > engine.in_flight // 3  # a bound, and no wild guess


def test_a_stopped_engine_answers_what_is_in_its_slots_and_nothing_more(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny, max_new_tokens=3))
    engine.prepare_run(plan(SHORT, recorded(2, 4_096, 4_096)))
    answered = engine.generate(photos(10, SHORT))
    next(answered)
    engine.stop()
    assert len(list(answered)) < 4
    assert list(engine.generate(photos(2))) == []


@pytest.mark.parametrize("kind", [ContinuousEngine, TransformersEngine])
def test_after_load_the_first_run_loads_nothing(
    tiny: Path, tmp_path: Path, kind: type[ContinuousEngine | TransformersEngine]
) -> None:
    engine = kind(settings(spoilt(tiny, tmp_path / "tiny")))
    engine.prepare_run(plan())
    engine.load()
    shutil.rmtree(tmp_path / "tiny")
    assert all(isinstance(answer, Completion) for answer in engine.generate(photos(2)))


# ---- which photos ----


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        ((65_536, 65_536), (75, 100)),  # enlarged to more than the budget, in whole tokens
        ((65_536, 65_536), (64, 64)),
        ((1_024, 65_536), (4_000, 21)),  # a strip
        ((1_024, 16_384), (640, 4)),
    ],
)
def test_no_photo_changes_the_capacity_that_run_json_records(
    tmp_path: Path, pixels: tuple[int, int], size: tuple[int, int]
) -> None:
    folder = write_tiny(tmp_path / "tiny")
    engine = ContinuousEngine(settings(folder, photo={"min_pixels": pixels[0], "max_pixels": pixels[1]}))
    engine.prepare_run(plan())
    for number, each in enumerate((size, (64, 64), (40, 70))):
        request = Request(number, SHORT, noise(number, *each), str(number))
        assert int((engine.prepare(request).ids == engine.image_token).sum()) <= engine.max_visual_tokens
        assert all(isinstance(answer, Completion) for answer in engine.generate([request]))
        assert engine.environment().items() >= allocated(engine).items()


@pytest.mark.parametrize("characters", [20, 2_400, 4_500])
def test_no_prompt_changes_the_capacity_that_run_json_records(tiny: Path, characters: int) -> None:
    """A scored answer has the prompt before it once more: with two, three times the prompt is in one prefill batch."""
    prompts = [Prompt("", "验" * number) for number in (9, characters, 20)]
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(RunPlan(prompts[1], photos=False, earlier=()))
    recorded = engine.environment()
    requests = [Request(number, prompt, None, str(number), (PASS, FAIL)) for number, prompt in enumerate(prompts)]
    assert all(isinstance(answer, Completion) for answer in engine.generate(requests))
    assert engine.environment() == recorded
    assert recorded.items() >= allocated(engine).items()


@pytest.mark.parametrize("fails", ["_allocate", "_admit"])
def test_a_group_that_fits_nowhere_fails_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """There is no memory for slots of 8,000 tokens, or for a prefill batch beside them."""
    work = getattr(ContinuousRunner, fails)

    def limited(runner: ContinuousRunner, *args: Any) -> Any:
        capacity = args[0] if fails == "_allocate" else runner.capacity
        if capacity.slot_len > 8_000:
            raise OutOfMemoryError
        return work(runner, *args)

    monkeypatch.setattr(ContinuousRunner, fails, limited)
    prompts = [Prompt("", "验" * characters) for characters in (9, 5, 9_000, 20)]
    engine = ContinuousEngine(settings(tiny))
    engine.prepare_run(RunPlan(prompts[2], photos=False, earlier=()))
    requests = [Request(number, prompt, None, str(number), ("通过",)) for number, prompt in enumerate(prompts)]
    found = {answer.id: answer for answer in engine.generate(requests)}
    assert [type(found[number]) for number in range(4)] == [Completion, Completion, Failure, Completion]
    failure = found[2]
    assert isinstance(failure, Failure)
    assert str(failure.error).startswith("the prompt does not fit the device's memory even in a batch of one")


def test_weights_beside_which_no_layer_can_be_fused_end_the_run(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(language_model, "layer_products", full)
    with pytest.raises(CheckpointError) as caught:
        next(ContinuousEngine(settings(tiny)).generate(mixed()))
    assert str(caught.value) == (
        f"{tiny}: the weights do not fit the memory of cpu. Free memory there, or choose another --device."
    )


def test_slots_are_allocated_once_per_run_however_large_the_photos(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another capacity in the middle of a run could mean other kernels for the photos after it."""
    allocated_slots: list[int] = []

    def counted(vision: Any, language: Any, sampler: Any, cache: KVCache, *more: Any) -> DeviceState:
        allocated_slots.append(cache.slots)
        return DeviceState(vision, language, sampler, cache, *more)

    monkeypatch.setattr(model_runner, "DeviceState", counted)
    engine, longer = ContinuousEngine(settings(tiny)), Prompt(SHORT.system, SHORT.user + "请写出。" * 17)
    small, large = noise(1, 64, 64), noise(2, 180, 180)
    for prompt in (SHORT, longer, SHORT):
        engine.prepare_run(plan(prompt))
        list(engine.generate([Request(0, prompt, small, "small")]))
        allocations = len(allocated_slots)
        list(engine.generate([Request(1, prompt, large, "large")]))
        assert len(allocated_slots) == allocations, "new slots after the first photo"
    assert len(allocated_slots) == 2


# ---- which engine, which checkpoint ----


def test_a_checkpoint_that_only_the_reference_can_run_is_refused(tiny: Path, tmp_path: Path) -> None:
    rope = TEXT["rope_parameters"] | {"rope_type": "dynamic", "factor": 2.0}
    folder = spoilt(tiny, tmp_path / "other", edited("config.json", text_config__rope_parameters=rope))
    with pytest.raises(CheckpointError, match=r"rope_type is dynamic, whose angles depend.* --engine transformers"):
        continuous(folder, photos(1))


def test_weights_are_counted_in_the_dtype_of_the_device(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny).model_copy(update={"dtype": "bfloat16"}))
    assert engine.parameter_count == sum(weights.numel() for weights in engine.model.parameters())
    assert engine.memory_budget().weight_bytes == engine.parameter_count * torch.bfloat16.itemsize


def test_it_is_chosen_by_name_and_a_cpu_gets_the_reference_engine(tiny: Path) -> None:
    given = settings(tiny)
    assert isinstance(load_engine(given.model_copy(update={"engine": "continuous"})), ContinuousEngine)
    assert isinstance(load_engine(given.model_copy(update={"engine": "auto"})), TransformersEngine)


def test_another_attention_is_refused(tiny: Path) -> None:
    with pytest.raises(UsageError, match="--attn sdpa is for the transformers engine"):
        ContinuousEngine(settings(tiny).model_copy(update={"attn": "sdpa"}))

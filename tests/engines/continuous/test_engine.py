"""Promises of the continuous engine on a CPU: what the reference engine writes, whatever stands beside a photo."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import TEXT, biased, edited, noise, settings, spoilt, write_tiny

from yanshou.engines import Completion, Failure, Prompt, Request, load_engine
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous import scheduler
from yanshou.engines.continuous.attention import decode_attention, packed_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.capacity import Capacity
from yanshou.engines.continuous.device_state import PREFIXES, DeviceState
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError, UsageError

Answers = dict[int, Completion | Failure]

SIZES = [(64, 64), (96, 160), (200, 90), (64, 64), (33, 47), (300, 300), (128, 64), (70, 210), (96, 96), (96, 160)]
HERE = {"engine": "continuous", "device": "cpu"}
SHORT, LONG = Prompt("看图。", "写一行。"), Prompt("你是助手，把照片写成一行。", "请写出照片中可见的全部内容。" * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Callable[..., Answers]:
    """What the reference engine answers to the same requests."""
    engines: dict[str, TransformersEngine] = {}

    def answers(requests: Sequence[Request], **sampling: Any) -> Answers:
        engine = engines.setdefault(str(sampling), TransformersEngine(settings(folder, **sampling)))
        return {answer.id: answer for answer in engine.generate(requests)}

    return answers


def continuous(folder: Path, requests: Sequence[Request], batch_size: int | None = None, **sampling: Any) -> Answers:
    engine = ContinuousEngine(settings(folder, **sampling).model_copy(update={"batch_size": batch_size}))
    return {answer.id: answer for answer in engine.generate(requests)}


def held(engine: ContinuousEngine) -> dict[str, int]:
    """The shape of its session."""
    assert engine._runner
    assert engine._runner.size
    return engine._runner.size.shape


def photos(count: int = 10, prompt: Prompt | None = None) -> list[Request]:
    """Photos of many sizes, with two prompts by halves so that packs hold several."""
    prompts = [prompt or (SHORT if at < count // 2 else LONG) for at in range(count)]
    return [
        Request(at, prompts[at], noise(at, *SIZES[at % len(SIZES)]), f"photo {at}") for at in range(count)
    ]  # fmt: skip


def mixed() -> list[Request]:
    """Photos, and prompts without one between them."""
    text = [Request(20 + at, (SHORT, LONG)[at % 2], None, f"text {at}") for at in range(4)]
    return [*photos()[:4], *text[:2], *photos()[4:], *text[2:]]


SAMPLINGS = [
    {}, {"temperature": 1.0, "top_p": 0.9}, {"repetition_penalty": 1.3},
    {"temperature": 0.8, "repetition_penalty": 1.2, "seed": 3},
]  # fmt: skip


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "top-p", "penalty", "all"])
def test_its_answers_are_those_of_the_reference(
    folder: Path, reference: Callable[..., Answers], sampling: dict[str, Any]
) -> None:
    """Vision, prefix, positions, decode and choice, all at once: one wrong number would write another text."""
    assert continuous(folder, mixed(), **sampling) == reference(mixed(), **sampling)


def test_of_another_shape_too_its_answers_are_those_of_the_reference(tmp_path: Path) -> None:
    """Several layers of DeepStack, a key head for every head, biases, photos normalized otherwise."""
    other = write_tiny(
        tmp_path / "other", {"depth": 4, "deepstack_visual_indexes": [1, 2]},
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, attention_bias=True,
    )  # fmt: skip
    mean = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    edited("processor_config.json", **{f"image_processor__{name}": value for name, value in mean.items()})(other)
    biased(other)
    engine = TransformersEngine(settings(other))
    assert continuous(other, mixed()) == {answer.id: answer for answer in engine.generate(mixed())}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_photo_is_told_the_same_whatever_stands_beside_it(folder: Path, batch_size: int) -> None:
    asked = photos()
    whole = continuous(folder, asked, temperature=1.0)
    assert continuous(folder, asked[::-1], batch_size, temperature=1.0) == whole
    assert continuous(folder, asked[4:5], batch_size, temperature=1.0) == {4: whole[4]}


def test_beginnings_of_one_length_are_told_apart_and_only_a_few_are_kept(
    folder: Path, reference: Callable[..., Answers]
) -> None:
    prompts = [Prompt(letter, "写一行。") for letter in "abcdef"]
    asked = [Request(at, prompts[at % 6], noise(at, 64, 64), str(at)) for at in range(12)]
    engine = ContinuousEngine(settings(folder))
    assert len({engine.prepare(request).prefix_len for request in asked}) == 1
    assert {answer.id: answer for answer in engine.generate(asked)} == reference(asked)
    assert engine._runner
    assert engine._runner._session
    assert len(engine._runner._session.prefixes) == PREFIXES


def test_likelihoods_of_lines_are_those_of_the_reference(folder: Path, reference: Callable[..., Answers]) -> None:
    asked = [Request(at, (SHORT, LONG)[at % 2], None, str(at), candidates=("通过", "不通过")) for at in range(7)]
    found, wanted = continuous(folder, asked), reference(asked)
    for at in range(7):
        one, other = found[at], wanted[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert replace(one, logprobs=()) == replace(other, logprobs=())


def test_a_longer_prompt_than_the_slots_hold_makes_longer_slots(
    folder: Path, reference: Callable[..., Answers]
) -> None:
    endless = Prompt("看图。", "请写出全部内容。" * 90)
    asked = [
        *photos(2, SHORT),
        Request(5, endless, None, "long"),
        Request(6, endless, noise(1, 64, 64), "long too"),
    ]
    assert continuous(folder, asked) == reference(asked)


def test_an_answer_ended_as_a_loop_leaves_its_slot_at_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended by the host; the device would write on to the limit."""
    whole = continuous(folder, photos(20), seed=1, temperature=1.0)
    monkeypatch.setattr(scheduler, "repeats", lambda tokens: len(tokens) == 8)
    engine = ContinuousEngine(settings(folder, seed=1, temperature=1.0))
    found = {answer.id: answer for answer in engine.generate(photos(20))}
    for at, answer in found.items():
        other = whole[at]
        assert isinstance(answer, Completion)
        assert isinstance(other, Completion)
        assert other.text.startswith(answer.text.rstrip("�"))  # cut inside a character
        assert answer.tokens == min(8, other.tokens)
    assert {answer.finish_reason for answer in found.values() if isinstance(answer, Completion)} == {"stop", "loop"}
    assert engine._runner
    assert engine._runner._session
    assert not engine._runner._session.working.any()


def test_a_photo_that_cannot_be_read_fails_alone(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    found = continuous(folder, [*photos(3), Request(9, SHORT, broken, "broken")])
    assert isinstance(found[9], Failure)
    assert all(isinstance(found[at], Completion) for at in range(3))


def test_pixels_are_those_of_the_processor(folder: Path) -> None:
    """Bytes that the device makes into numbers: not a bit of difference."""
    for dtype in ("float32", "bfloat16"):
        given = settings(folder).model_copy(update={"dtype": dtype})
        engine, other = ContinuousEngine(given), TransformersEngine(given)
        for size in SIZES:
            cut, grid = engine.patches(noise(3, *size))
            whole, same = other.patches(noise(3, *size))
            assert cut.dtype == torch.uint8
            assert torch.equal(grid, same)
            assert torch.equal(engine.pixels.numbers(cut), whole.to(engine.dtype))


def test_a_run_that_goes_on_keeps_its_shape(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    for slots, tokens, visual in ((3, 4_096, 4_000), (5, 4_096, 4_000), (5, 4_000, 4_000), (5, 4_000, 3_900)):
        shape = {"slots": slots, "launch_tokens": tokens, "launch_visual_tokens": visual}
        engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[HERE | shape]))  # a mission's after the other
        assert engine.environment().items() >= shape.items()
        assert list(engine.generate(photos(7)))
        assert held(engine) == shape
        assert engine.environment().items() >= shape.items()


def test_runs_elsewhere_in_between_do_not_change_the_shape(folder: Path) -> None:
    shape = {"slots": 3, "launch_tokens": 4_096, "launch_visual_tokens": 4_000}
    reference, elsewhere = {"engine": "transformers", "device": "cpu"}, HERE | {"device": "a large GPU", "slots": 256}
    engine = ContinuousEngine(settings(folder))
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[reference, elsewhere, HERE | shape, HERE | {"slots": 5}]))
    assert engine.environment().items() >= shape.items()


def test_what_no_run_can_have_written_is_not_kept(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[]))
    usual = engine.environment()
    for odd in (0, -1, "3", None, [3], True):
        shape = dict.fromkeys(("slots", "launch_tokens", "launch_visual_tokens"), odd)
        engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[HERE | shape]))
        assert engine.environment() == usual
    shape = {"slots": 2, "launch_tokens": 1, "launch_visual_tokens": 1}  # too small for any photo
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[HERE | shape]))
    assert all(isinstance(answer, Completion) for answer in engine.generate(photos(3)))


def test_a_shape_that_the_memory_no_longer_holds_is_not_kept(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    usual = {"slots": 16, "launch_tokens": 4_096, "launch_visual_tokens": 4_096}
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[HERE | {name: 2 * usual[name] for name in usual}]))
    assert engine.environment().items() >= usual.items()


def test_a_run_that_ran_short_is_not_halved_again_when_it_goes_on(folder: Path) -> None:
    earlier: list[dict[str, Any]] = []
    for _ in range(3):
        engine = ContinuousEngine(settings(folder))
        engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[]))
        list(engine.generate(photos(2)))
        assert engine._runner
        assert engine._runner.shrink()  # one mission runs short of memory
        engine.prepare_run(RunPlan(SHORT, photos=True, earlier=earlier))  # the next goes on
        earlier = [engine.environment()]
        list(engine.generate(photos(2)))
        assert held(engine) == {"slots": 8, "launch_tokens": 2_048, "launch_visual_tokens": 2_048}
        assert earlier[0].items() >= held(engine).items()


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        ((65_536, 65_536), (75, 100)),  # enlarged to more than the budget, in whole tokens
        ((65_536, 65_536), (64, 64)),
        ((1_024, 65_536), (4_000, 21)),  # a strip
        ((1_024, 16_384), (640, 4)),
    ],
)
def test_no_photo_changes_the_shape_that_run_json_tells(tmp_path: Path, pixels: tuple[int, int], size: Any) -> None:
    least, most = pixels
    engine = ContinuousEngine(settings(write_tiny(tmp_path / "tiny"), photo={"min_pixels": least, "max_pixels": most}))
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[]))
    for at, each in enumerate((size, (64, 64), (40, 70))):
        request = Request(at, SHORT, noise(at, *each), str(at))
        assert int((engine.prepare(request).ids == engine.image_token).sum()) <= engine.max_visual_tokens
        assert all(isinstance(answer, Completion) for answer in engine.generate([request]))
        assert engine.environment().items() >= held(engine).items()


def test_a_run_that_goes_on_elsewhere_reckons_anew(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    engine.prepare_run(RunPlan(SHORT, photos=True, earlier=[HERE | {"device": "a large GPU", "slots": 256}]))
    assert engine.environment()["slots"] == 16


def test_a_mission_of_longer_prompts_is_planned_before_it_begins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another shape of launches in the middle of a run would be another kernel for the photos behind it."""
    opened, open_ = [], ContinuousRunner._open
    monkeypatch.setattr(ContinuousRunner, "_open", lambda runner, size: opened.append(size) or open_(runner, size))
    engine, long = ContinuousEngine(settings(folder)), Prompt(SHORT.system, SHORT.user + "请写出。" * 17)
    small, large = noise(1, 64, 64), noise(2, 180, 180)
    for prompt in (SHORT, long, SHORT):
        engine.prepare_run(RunPlan(prompt, photos=True, earlier=[]))
        list(engine.generate([Request(0, prompt, small, "small")]))
        begun = len(opened)
        list(engine.generate([Request(1, prompt, large, "large")]))
        assert len(opened) == begun, "another session behind the first photo"
    assert len(opened) == 2


def test_two_runs_at_once_are_a_bug(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    first = engine.generate(photos(2))
    next(first)
    with pytest.raises(AssertionError, match="one run"):
        next(engine.generate(photos(2)))
    first.close()  # type: ignore[attr-defined]
    assert {answer.id: answer for answer in engine.generate(photos(2))} == continuous(folder, photos(2))


def test_pixels_are_not_kept_while_answers_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, complete = [], ContinuousRunner.complete
    monkeypatch.setattr(
        ContinuousRunner, "complete", lambda runner, one, *rest: done.append(one) or complete(runner, one, *rest)
    )
    continuous(folder, photos(4))
    assert [one.pixels for one in done] == [None] * 4


def test_a_checkpoint_that_only_the_reference_can_run_is_refused(folder: Path, tmp_path: Path) -> None:
    rope = TEXT["rope_parameters"] | {"rope_type": "dynamic", "factor": 2.0}
    other = spoilt(folder, tmp_path / "other", edited("config.json", text_config__rope_parameters=rope))
    with pytest.raises(CheckpointError, match="transformers"):
        continuous(other, photos(1))


def test_weights_are_counted_as_the_device_holds_them(folder: Path) -> None:
    engine = ContinuousEngine(settings(folder))
    assert engine.parameter_count == sum(weights.numel() for weights in engine.model.parameters())


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    ],
)
def test_out_of_memory_is_halved_down_to_a_slot_and_the_smallest_launch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    """Every launch is too large but the smallest; no photo is lost, none fails."""
    shapes, admit = [], DeviceState.admit

    def short(session: DeviceState, pack: PrefillBatch, slots: Sequence[int]) -> Any:
        shapes.append((session.table.slots, session.shape.tokens))
        if shapes[-1] != (1, session.table.room):
            raise error
        return admit(session, pack, slots)

    whole = continuous(folder, photos(4))
    monkeypatch.setattr(DeviceState, "admit", short)
    engine = ContinuousEngine(settings(folder))
    assert {answer.id: answer for answer in engine.generate(photos(4))} == whole
    assert [slots for slots, _ in shapes[:5]] == [16, 8, 4, 2, 1]
    assert engine.out_of_memory == 5  # the last time only the launch could shrink


def test_a_request_that_fits_nowhere_does_not_slow_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = ContinuousRunner._open

    def short(runner: ContinuousRunner, size: Capacity) -> None:
        if size.room > 512:
            raise torch.cuda.OutOfMemoryError
        open_(runner, size)

    monkeypatch.setattr(ContinuousRunner, "_open", short)
    engine = ContinuousEngine(settings(folder))
    endless = Request(9, Prompt("看图。", "请写出全部内容。" * 200), None)
    found = {answer.id: answer for answer in engine.generate([*photos(2), endless, *photos(6)[3:]])}
    assert [at for at, answer in found.items() if isinstance(answer, Failure)] == [9]
    assert len(found) == 6
    assert held(engine)["slots"] == 16


def test_a_bug_is_no_lack_of_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: DeviceState, pack: PrefillBatch, slots: Sequence[int]) -> Any:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(DeviceState, "admit", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        continuous(folder, photos(1))


def test_it_is_the_engine_by_name_and_the_reference_is_that_of_a_cpu(folder: Path) -> None:
    given = settings(folder)
    assert isinstance(load_engine(given.model_copy(update={"engine": "continuous"})), ContinuousEngine)
    assert isinstance(load_engine(given.model_copy(update={"engine": "auto"})), TransformersEngine)


def test_it_does_not_overlook_that_another_attention_is_asked_for(folder: Path) -> None:
    with pytest.raises(UsageError, match="--attn sdpa is for the transformers engine"):
        ContinuousEngine(settings(folder).model_copy(update={"attn": "sdpa"}))


def test_attention_over_a_prefix_sees_what_causal_attention_sees() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(9, heads, 8, generator=generator) for heads in (4, 2, 2))
    whole = packed_attention(q, k, v, VarlenMetadata([(0, 9)], [(0, 9)]), 0.3, causal=True)
    rest = packed_attention(q[5:], k, v, VarlenMetadata([(0, 4)], [(0, 9)]), 0.3, causal=True)
    torch.testing.assert_close(rest, whole[5:])
    reach = DecodeMetadata(torch.tensor([0, 9], dtype=torch.int32), torch.zeros(2).int(), torch.zeros(2).long())
    nothing = torch.full_like(k, torch.nan)
    last = decode_attention(q[[0, 8]], torch.cat([nothing, k]), torch.cat([nothing, v]), reach, 9, 0.3)
    torch.testing.assert_close(last[1], whole[8])
    assert not last[0].any()  # a slot at rest reads nothing

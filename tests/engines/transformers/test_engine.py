"""The reference engine: a text depends on photo, prompt and checkpoint only; faults of a folder are reported."""

import io
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.ExifTags import Base
from support.checkpoints import (
    MAX_NEW_TOKENS,
    Spoil,
    cut_in_half,
    edited,
    settings,
    spoilt,
    without,
    without_tensor,
    written,
)
from support.photos import encoded, noise, picture
from support.requests import LONG, SHORT, SIZES
from transformers import Qwen3VLForConditionalGeneration

from yanshou.engines import Completion, Failure, Request
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError, PhotoError, UsageError
from yanshou.inputs.images import load_photo
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings, PromptSettings, StageASettings
from yanshou.stage_a.api import infer_batch
from yanshou.stage_a.summarize import summarize_directory

Build = Callable[..., TransformersEngine]

STOPS = ("<|im_end|>", "<|endoftext|>")


def mixed() -> list[Request]:
    """Photos of many sizes with two prompts in turn, and two questions without a photo."""
    photos = [Request(at, (SHORT, LONG)[at % 2], noise(at, *size), f"photo {at}") for at, size in enumerate(SIZES)]
    return [*photos, Request(len(SIZES), LONG, None, "text"), Request(len(SIZES) + 1, SHORT, None, "more text")]


def completions(engine: TransformersEngine, requests: Sequence[Request]) -> list[Completion]:
    """In the order of the ids."""
    answers = sorted(engine.generate(requests), key=lambda answer: answer.id)
    assert all(isinstance(answer, Completion) for answer in answers), answers
    return answers  # type: ignore[return-value]


def texts(engine: TransformersEngine, requests: Sequence[Request]) -> list[str]:
    return [answer.text for answer in completions(engine, requests)]


@pytest.fixture
def batches(engine: Build, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The inputs of each call of `model.generate`."""
    model, seen = engine().model, []
    generate = model.generate

    def listen(**inputs: Any) -> Any:
        seen.append(inputs)
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", listen)
    return seen


# ---- the same text in every batch ----


def test_the_tiny_checkpoint_gives_different_answers_to_different_requests(engine: Build) -> None:
    answers = completions(engine(), mixed())
    assert len({answer.text for answer in answers}) >= 10
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    same_photo = [Request(0, SHORT, noise(0, 64, 64)), Request(1, LONG, noise(0, 64, 64))]
    assert len(set(texts(engine(), same_photo))) == 2, "the prompt counts"


SAMPLING: list[dict[str, Any]] = [
    {},
    {"repetition_penalty": 1.3},
    {"temperature": 0.8, "seed": 1},
    {"temperature": 1.2, "top_p": 0.7, "repetition_penalty": 1.1, "seed": 7},
]


@pytest.mark.parametrize("sampling", SAMPLING, ids=str)
def test_batch_size_and_order_change_no_text(engine: Build, sampling: dict[str, Any]) -> None:
    requests = mixed()
    alone = completions(engine(batch_size=1, **sampling), requests)
    for batch_size in (3, 8):
        shuffled = Random(batch_size).sample(requests, len(requests))
        assert completions(engine(batch_size=batch_size, **sampling), shuffled) == alone


def test_the_sampled_text_depends_on_seed_and_key(engine: Build) -> None:
    same = [Request(at, SHORT, noise(0, 64, 64), key) for at, key in enumerate(["a", "b", "c", "a"])]
    hot = {"temperature": 1.5}
    first, other = texts(engine(seed=1, **hot), same), texts(engine(seed=2, **hot), same)
    assert first[0] == first[3]
    assert len(set(first)) == 3
    assert not set(first) & set(other)
    assert texts(engine(seed=1, **hot), same) == first
    assert len(set(texts(engine(seed=1), same))) == 1, "greedy decoding uses no seed"


def test_batches_are_padded_on_the_left(engine: Build, batches: list[dict[str, Any]]) -> None:
    texts(engine(batch_size=6), mixed())
    assert [len(batch["input_ids"]) for batch in batches] == [6, 6]
    for batch in batches:
        mask = batch["attention_mask"]
        assert bool((mask.diff(dim=1) >= 0).all())
        assert bool((mask[:, -1] == 1).all())
        assert bool((mask[:, 0] == 0).any())
        assert bool((batch["input_ids"][mask == 0] == engine().processor.tokenizer.pad_token_id).all())


# ---- the model's input ----


def oriented(path: Path, orientation: int) -> Path:
    """A photo of 160 × 64 pixels as stored, with its EXIF orientation."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    noise(orientation, 160, 64).save(path, exif=exif.tobytes())
    return path


def test_prompt_and_patches_are_those_of_the_processor(
    engine: Build, batches: list[dict[str, Any]], tmp_path: Path
) -> None:
    photos: list[Path | Image.Image] = [noise(at, *size) for at, size in enumerate(SIZES)]
    photos += [oriented(tmp_path / f"{orientation}.jpg", orientation) for orientation in (1, 3, 6, 8)]
    running = engine(batch_size=len(photos))
    answers = completions(running, [Request(at, (SHORT, LONG)[at % 2], photo) for at, photo in enumerate(photos)])
    assert [answer.rotated for answer in answers[-4:]] == [False, True, True, True]
    (batch,) = batches
    grids, first = batch["image_grid_thw"], 0
    assert grids[-4:].tolist() == [[1, 4, 10], [1, 4, 10], [1, 10, 4], [1, 10, 4]]
    for at, photo in enumerate(photos):
        ids = batch["input_ids"][at][batch["attention_mask"][at] == 1]
        own = running.processor(
            text=[running.render((SHORT, LONG)[at % 2])], images=[load_photo(photo).image], return_tensors="pt",
            images_kwargs={"size": {"shortest_edge": 4_096, "longest_edge": 32_768}},
        )  # fmt: skip
        patches = int(grids[at].prod())
        assert ids.tolist() == own["input_ids"][0].tolist()
        assert int((ids == running.processor.image_token_id).sum()) == patches // 4
        assert torch.equal(batch["pixel_values"][first : first + patches], own["pixel_values"])
        first += patches
    assert first == len(batch["pixel_values"])


@pytest.mark.parametrize(
    ("size", "photo", "grid"),  # width × height; rows × columns of patches of 16 pixels
    [
        ((640, 480), {"min_pixels": 4_096, "max_pixels": 65_536}, [12, 18]),
        ((640, 480), {"min_pixels": 4_096, "max_pixels": 262_144}, [26, 36]),
        ((640, 480), {"min_pixels": 4_096, "max_pixels": 786_432}, [30, 40]),
        ((40, 40), {"min_pixels": 4_096, "max_pixels": 65_536}, [4, 4]),
        ((40, 40), {"min_pixels": 65_536, "max_pixels": 65_536}, [16, 16]),
    ],
)
def test_the_pixel_budget_determines_the_number_of_visual_tokens(
    engine: Build, batches: list[dict[str, Any]], size: tuple[int, int], photo: dict[str, int], grid: list[int]
) -> None:
    texts(engine(photo=photo, max_new_tokens=1), [Request(0, SHORT, noise(0, *size))])
    assert batches[0]["image_grid_thw"].tolist() == [[1, *grid]]


def test_the_pixel_budget_overrides_that_of_the_folder(tiny: Path, tmp_path: Path) -> None:
    own = edited("processor_config.json", image_processor__max_pixels=10**7, image_processor__do_resize=False)
    folder = spoilt(tiny, tmp_path / "own", own)
    prepared = TransformersEngine(settings(folder)).prepare(Request(0, SHORT, noise(0, 640, 480)))
    assert prepared.grid is not None
    assert int(prepared.grid.prod()) // 4 <= 32


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_photo_in_other_colours_is_answered(engine: Build, tmp_path: Path, mode: str) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encoded(picture(mode, (96, 64))))
    with Image.open(photo) as opened:
        as_rgb = opened.convert("RGB")
    assert len(set(texts(engine(), [Request(0, SHORT, photo), Request(1, SHORT, as_rgb)]))) == 1


def test_a_photo_too_narrow_for_the_processor_fails_alone(engine: Build, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.png"
    noise(0, 1, 3000).save(narrow)
    requests = [*mixed()[:3], Request(3, SHORT, narrow), Request(4, SHORT, noise(0, 3000, 1)), mixed()[5]]
    answers = {answer.id: answer for answer in engine().generate(requests)}
    failures = [answers.pop(3), answers.pop(4)]
    assert all(isinstance(failure, Failure) and isinstance(failure.error, PhotoError) for failure in failures)
    assert str(failures[0].error).startswith(f"{narrow}: absolute aspect ratio must be smaller than 200")  # type: ignore[union-attr]
    assert str(failures[1].error).startswith("the picture in memory: ")  # type: ignore[union-attr]
    assert [answer.text for answer in answers.values()] == texts(engine(), [requests[at] for at in (0, 1, 2, 5)])


# ---- the answers ----


def test_a_text_ends_at_its_first_stop_token(engine: Build) -> None:
    answers = completions(engine(batch_size=12, temperature=1.2), mixed())
    for answer in answers:
        if answer.finish_reason == "stop":
            assert answer.text.endswith(STOPS)
            assert sum(map(answer.text.count, STOPS)) == 1
            assert answer.tokens <= MAX_NEW_TOKENS
        else:
            assert not any(stop in answer.text for stop in STOPS)
            assert answer.tokens == MAX_NEW_TOKENS
    assert len({answer.tokens for answer in answers}) > 2, "rows of one batch end at different steps"


def test_the_token_limit_cuts_every_text_after_the_same_number_of_tokens(engine: Build) -> None:
    whole, cut = texts(engine(), mixed()), completions(engine(max_new_tokens=3), mixed())
    assert all(answer.tokens <= 3 for answer in cut)
    for text, answer in zip(whole, cut, strict=True):
        assert text.startswith(answer.text.rstrip("\N{REPLACEMENT CHARACTER}"))


@pytest.mark.parametrize(
    "spoil",
    [
        edited(
            "generation_config.json", do_sample=True, temperature=0.3, top_k=3, repetition_penalty=1.9, num_beams=3,
            max_length=10, max_new_tokens=3, min_new_tokens=20, suppress_tokens=[300],
        ),
        edited("config.json", temperature=0.3, text_config__repetition_penalty=1.9),
        without("generation_config.json"),
    ],
    ids=["generation_config", "config", "none"],
)  # fmt: skip
def test_sampling_settings_of_the_checkpoint_are_ignored(
    engine: Build, tiny: Path, tmp_path: Path, spoil: Spoil
) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", spoil)
    assert texts(TransformersEngine(settings(folder)), mixed()[:4]) == texts(engine(), mixed()[:4])


# ---- folders that do not load ----

FAULTS: dict[str, tuple[Spoil, str]] = {
    "merge size": (
        edited("processor_config.json", image_processor__merge_size=1), "merge_size is 1 for the processor, 2 in co",
    ),
    "patch size": (
        edited("processor_config.json", image_processor__patch_size=14), "patch_size is 14 for the processor, 16",
    ),
    "image token": (edited("config.json", image_token_id=13), "the image token is 12 for the processor, 13 in config"),
    "no padding token": (edited("tokenizer_config.json", pad_token=None), "has no padding token. Set pad_token in"),
    "no chat template": (without("chat_template.jinja"), "no chat template. Copy chat_template.jinja from the base"),
    "chat template that divides by zero": (
        written("chat_template.jinja", "{{ 1/0 }}"), "its chat template cannot render a prompt .division by zero",
    ),
    "broken chat template": (written("chat_template.jinja", "{% if %}"), "its chat template cannot render"),
    "text-only chat template": (
        written("chat_template.jinja", "{% for m in messages %}{{ m.role + m.content }}{% endfor %}"),
        "its chat template cannot render a prompt",
    ),
    "photoless chat template": (
        written("chat_template.jinja", "{% for m in messages %}{{ m.role }}{% endfor %}"),
        "the chat template writes 0 image tokens, expected 1",
    ),
    "tokenizer": (written("tokenizer.json", "nonsense"), "tokenizer.json: cannot be read as JSON"),
    "processor": (written("processor_config.json", "nonsense"), "processor_config.json: cannot be read as JSON"),
    "missing tensor": (
        without_tensor("model.visual.merger.norm.weight"), "1 weights are missing, first model.visual.merger.norm.weig",
    ),
    "other shapes": (edited("config.json", text_config__num_attention_heads=4), "4 weights have another shape"),
    "cut weights": (cut_in_half, "model.safetensors: not a whole safetensors file .*metadata"),
    "empty weights": (written("model.safetensors", b""), "model.safetensors: the file is empty. Copy"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_does_not_load_is_a_checkpoint_error(tiny: Path, tmp_path: Path, fault: str) -> None:
    spoil, words = FAULTS[fault]
    folder = spoilt(tiny, tmp_path / "spoilt", spoil)
    with pytest.raises(CheckpointError, match=words) as caught:
        list(TransformersEngine(settings(folder)).generate(mixed()[:2]))
    assert str(tmp_path / "spoilt") in str(caught.value)


@pytest.mark.parametrize("content", ["[]", '"text"', "null", "3"])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_file_of_another_json_type_is_a_checkpoint_error(tiny: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", written(name, content))
    with pytest.raises(CheckpointError) as caught:
        texts(TransformersEngine(settings(folder)), mixed()[:1])
    assert str(caught.value).startswith(str(folder))


@pytest.mark.parametrize(
    "spoil",
    [
        edited("config.json", text_config=[]), edited("config.json", vision_config="large"),
        edited("config.json", image_token_id="12"), edited("config.json", text_config__hidden_size="64"),
        edited("generation_config.json", pad_token_id="0"), edited("tokenizer_config.json", tokenizer_class=[]),
        edited("tokenizer_config.json", added_tokens_decoder=[]),
    ],
)  # fmt: skip
def test_a_key_of_another_json_type_is_a_checkpoint_error(tiny: Path, tmp_path: Path, spoil: Spoil) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", spoil)
    with pytest.raises(CheckpointError) as caught:
        texts(TransformersEngine(settings(folder)), mixed()[:1])
    assert str(caught.value).startswith(str(folder))


def test_a_processor_whose_prompt_does_not_match_the_grid_is_refused(
    engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(engine().processor)
    monkeypatch.setattr(kind, "replace_image_token", lambda self, *_, **__: self.image_token * 5)
    with pytest.raises(CheckpointError, match=r"prompt tokens, expected \d+ by the photo's grid"):
        texts(engine(), [Request(0, SHORT, noise(0, 200, 200))])


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_ever_read(tiny: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))
    names = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pt", "tokenizer.model", "scheduler.pkl")
    folder = spoilt(tiny, tmp_path / "trapped", *(written(name, trap) for name in names))
    assert len(texts(TransformersEngine(settings(folder)), mixed()[:1])) == 1
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no safetensors weights: it has pickled weights only"):
        TransformersEngine(settings(folder))
    shutil.copy(folder / "pytorch_model.bin", folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        TransformersEngine(settings(folder))
    assert not sprung.exists()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(Trap(tmp_path / "no" / "folder")))  # the trap works


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "cuda:63"}, "--device cuda:63: this machine has no such device, only cpu"),
        ({"device": "gpu"}, "--device gpu: this machine has no such device"),
        ({"device": "cpu", "attn": "flash_attention_2"}, "--attn flash_attention_2 needs CUDA"),
    ],
)
def test_an_unavailable_device_or_attention_is_wrong_usage(tiny: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TransformersEngine(EngineSettings(checkpoint=str(tiny), **options))


def test_a_run_without_open_groups_loads_nothing(tiny: Path, tmp_path: Path) -> None:
    group = tmp_path / "in" / "挡风板安装检查" / "审核通过" / "QC-1"
    group.mkdir(parents=True)
    noise(0, 64, 64).save(group / "1.jpg")
    words = tmp_path / "words.txt"
    words.write_text("看图。", encoding="utf-8")
    run = StageASettings(
        input_dir=tmp_path / "in", output_dir=tmp_path / "out", missions=("all",), allow_truncated=True,
        engine=settings(tiny, max_new_tokens=4), prompts=PromptSettings(system_prompt=words, user_prompt=words),
    )  # fmt: skip
    first, second = TransformersEngine(run.engine), TransformersEngine(run.engine)
    (result,) = summarize_directory(run, first)
    assert (result.written, result.skipped, "model" in vars(first)) == (1, 0, True), result
    (result,) = summarize_directory(run, second)
    assert (result.written, result.skipped) == (0, 1)
    assert {"model", "processor"}.isdisjoint(vars(second))


# ---- memory ----


@pytest.fixture
def crowded(engine: Build, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Makes `model.generate` run out of memory above a number of rows; returns the sizes of the batches tried."""
    model, tried = engine().model, []
    generate = model.generate

    def limit(rows: int) -> list[int]:
        def crowd(**inputs: Any) -> Any:
            tried.append(len(inputs["input_ids"]))
            if tried[-1] > rows:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            return generate(**inputs)

        monkeypatch.setattr(model, "generate", crowd)
        return tried

    return limit


def test_a_batch_that_does_not_fit_is_halved_until_it_does(engine: Build, crowded: Callable[[int], list[int]]) -> None:
    wanted = texts(engine(), mixed())
    tried = crowded(2)
    assert texts(engine(), mixed()) == wanted
    assert tried == [8, 4, 2, 2, 4, 2, 2, 2, 2]


def test_a_photo_that_does_not_fit_alone_fails(engine: Build, crowded: Callable[[int], list[int]]) -> None:
    crowded(0)
    answers = list(engine(batch_size=2).generate(mixed()[:3]))
    assert sorted(answer.id for answer in answers) == [0, 1, 2]
    assert all(isinstance(a, Failure) and "does not fit the device's memory" in str(a.error) for a in answers)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        torch.AcceleratorError("CUDA error: out of memory"),  # another process has filled the GPU before
        RuntimeError("Triton Error [CUDA]: out of memory"),
    ],
)
def test_weights_that_do_not_fit_end_the_run(tiny: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Qwen3VLForConditionalGeneration, "to", full)
    with pytest.raises(CheckpointError, match="the weights do not fit the memory of cpu"):
        list(TransformersEngine(settings(tiny)).generate(mixed()[:2]))


# ---- what run.json records ----


def test_identity_differs_for_another_checkpoint_or_dtype(engine: Build, tiny: Path, tmp_path: Path) -> None:
    own = engine().identity()
    assert own["dtype"] == "float32"
    assert TransformersEngine(settings(tiny)).identity() == own
    moved = spoilt(tiny, tmp_path / "moved")
    assert TransformersEngine(settings(moved)).identity() == own
    other = spoilt(tiny, tmp_path / "other", written("chat_template.jinja", "{{ messages }}"))
    assert TransformersEngine(settings(other)).identity() != own
    half = EngineSettings(checkpoint=str(tiny), device="cpu", dtype="bfloat16")
    assert TransformersEngine(half).identity() == own | {"dtype": "bfloat16"}
    assert {"device": "cpu", "attention": "sdpa", "batch_size": 8}.items() <= engine().environment().items()


def test_loading_is_logged(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "yanshou")
    _ = TransformersEngine(settings(tiny)).model
    (message,) = caplog.messages
    assert message.startswith(f"{tiny} loaded: cpu, torch.float32, gqa_sdpa attention in ")


def test_python_callers_get_texts_in_the_order_of_their_photos(engine: Build) -> None:
    photos = [noise(at, 64, 96) for at in range(5)]
    pairs = infer_batch(engine(batch_size=2), photos, LONG, allow_truncated=True)
    assert [raw for raw, _ in pairs] == texts(engine(), [Request(at, LONG, photo) for at, photo in enumerate(photos)])
    assert all("<|" not in clean for _, clean in pairs)


def test_a_text_depends_on_the_photos_pixels_and_not_on_its_bytes(engine: Build, tmp_path: Path) -> None:
    out = io.BytesIO()
    noise(3, 96, 96).save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    requests = [Request(0, SHORT, tmp_path / "a.png"), Request(1, SHORT, noise(3, 96, 96))]
    assert len(set(texts(engine(), requests))) == 1


@pytest.mark.parametrize("stop", ["x", ["x"], {}, [1, "x"], 10**30, -1, [[1]]], ids=str)
def test_invalid_stop_tokens_are_a_checkpoint_error(tiny: Path, tmp_path: Path, stop: object) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", edited("generation_config.json", eos_token_id=stop))
    with pytest.raises(CheckpointError, match=r"generation_config|does not load"):
        texts(TransformersEngine(settings(folder)), mixed()[:1])


def test_a_prompt_longer_than_the_context_fails_alone(engine: Build) -> None:
    made = engine(max_new_tokens=8)
    made.context = 300
    prompts = [Prompt("", "验" * characters) for characters in (9, 1_000, 20)]
    found = {a.id: a for a in made.generate([Request(n, prompt, None, "") for n, prompt in enumerate(prompts)])}
    assert [type(found[number]) for number in range(3)] == [Completion, Failure, Completion]
    failure = found[1]
    assert isinstance(failure, Failure)
    assert "more than the context of the checkpoint, 300 tokens (max_position_embeddings)" in str(failure.error)
    assert "split the group, or leave some photos out" in failure.error.advice


def test_a_share_of_a_gpu_that_is_not_used_is_reported_once(tiny: Path) -> None:
    made = TransformersEngine(EngineSettings(checkpoint=str(tiny), gpu_memory=0.5))
    words = "--gpu-memory 0.5 has no effect: it is for the continuous engine on a GPU"
    assert (made.take_warnings(), made.take_warnings()) == ([words], [])

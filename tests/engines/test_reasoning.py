"""Both engines with chat templates that open a think block: reasoning about photos, none before verdicts."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.checkpoints import HYBRID, THINKING, Spoil, prompt_end, settings, spoilt
from support.requests import LONG, SHORT, answers, photos

from yanshou.engines import Completion, Engine, Request
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.qwen3_vl import Qwen3VLBackend
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.settings import EngineSettings

CLOSED = "<think>\n\n</think>\n\n"
CANDIDATES = ("通过", "不通过")

Make = Callable[[EngineSettings], Engine]
engines = pytest.mark.parametrize("make", [TransformersEngine, ContinuousEngine])


def completions(make: Make, folder: Path, requests: list[Request]) -> list[Completion]:
    found = answers(make(settings(folder)), requests)
    return [one for _, one in sorted(found.items()) if isinstance(one, Completion)]


@engines
def test_a_raw_text_begins_with_the_tag_that_the_template_opened(tiny: Path, tmp_path: Path, make: Make) -> None:
    thinking = spoilt(tiny, tmp_path / "thinking", prompt_end(THINKING))
    about_photos = completions(make, thinking, photos(3))
    assert [one.text.startswith("<think>\n") for one in about_photos] == [True] * 3
    assert not any(one.text.startswith("<think>") for one in completions(make, tiny, photos(3)))
    assert about_photos == completions(TransformersEngine, thinking, photos(3))


@engines
@pytest.mark.parametrize("end", [THINKING, HYBRID, "<|im_start|>assistant\n<think>"])
@torch.inference_mode()
def test_candidates_are_scored_where_the_answer_begins(tiny: Path, tmp_path: Path, make: Make, end: str) -> None:
    folder = spoilt(tiny, tmp_path / "thinking", prompt_end(end))
    requests = [Request(at, prompt, None, candidates=CANDIDATES) for at, prompt in enumerate((SHORT, LONG))]
    found = completions(make, folder, requests)
    plain = TransformersEngine(settings(tiny))
    for prompt, one in zip((SHORT, LONG), found, strict=True):
        assert "think" not in one.text
        for line, logprob in zip(CANDIDATES, one.logprobs, strict=True):
            prompt_ids = plain.processor.tokenizer(plain.render(prompt, with_photo=False) + CLOSED)["input_ids"]
            ids = torch.tensor([[*prompt_ids, *plain.tokenizer.line_ids(line)]])
            scores = plain.model(input_ids=ids).logits[0, len(prompt_ids) - 1 : -1].double().log_softmax(-1)
            wanted = scores.gather(-1, ids[0, len(prompt_ids) :, None]).sum().item()
            assert logprob == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("spoil", "with_photo", "without"),
    [
        (prompt_end(THINKING), "<think>\n", CLOSED),
        (prompt_end(HYBRID), CLOSED, CLOSED),
        (prompt_end("<|im_start|>assistant\n"), "", ""),
    ],
)
def test_reasoning_is_off_where_the_template_can_do_without_and_before_verdicts(
    tiny: Path, tmp_path: Path, spoil: Spoil, with_photo: str, without: str
) -> None:
    backend = Qwen3VLBackend(settings(spoilt(tiny, tmp_path / "made", spoil)))
    for photo, end in ((True, with_photo), (False, without)):
        assert backend.render(SHORT, photo).rpartition("<|im_start|>assistant\n")[2] == end

"""`yanshou.engines.chat`: a prompt has one form, whatever asks for it, and a template that cannot render is named."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoProcessor

from yanshou.engines.chat import encode, expand_image_token, render
from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt

PROMPT = Prompt("系统", "用户")


@pytest.fixture
def processor(tiny: Path) -> Any:
    return AutoProcessor.from_pretrained(tiny)


def test_the_prompt_holds_only_what_was_given(processor: Any) -> None:
    assert render(processor, PROMPT, with_photo=True) == (
        "<|im_start|>system\n系统<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>用户<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert render(processor, PROMPT, with_photo=False) == (
        "<|im_start|>system\n系统<|im_end|>\n<|im_start|>user\n用户<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_ids_are_those_of_the_text(processor: Any) -> None:
    for with_photo in (True, False):
        ids = encode(processor, PROMPT, with_photo)
        assert processor.tokenizer.decode(ids) == render(processor, PROMPT, with_photo)
        assert ids.count(processor.image_token_id) == int(with_photo)


def test_an_image_token_in_the_prompt_text_is_refused(processor: Any, tiny: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"^{tiny}: the chat template writes 2 image tokens, expected 1\."):
        encode(processor, Prompt("看图", "<|image_pad|>"), with_photo=True)


@pytest.mark.parametrize("template", ["{{ 1/0 }}", "{% if %}", "{{ messages[7].role }}", "{{ messages + 1 }}"])
def test_a_template_that_cannot_render_is_named_with_its_folder(processor: Any, tiny: Path, template: str) -> None:
    processor.chat_template = template
    with pytest.raises(CheckpointError, match=rf"^{tiny}: its chat template cannot render a prompt \("):
        render(processor, PROMPT, with_photo=False)


def test_an_image_token_is_repeated_once_per_visual_token() -> None:
    assert expand_image_token([5, 9, 7], image_token=9, visual_tokens=3) == ([5, 9, 9, 9, 7], 1)

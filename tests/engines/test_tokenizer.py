"""Several threads may ask one tokenizer, and each gets what it would get alone."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from transformers import AutoProcessor

from yanshou.engines import chat, checkpoint
from yanshou.engines.tokenizer import PromptTokenizer
from yanshou.schema.prompt import Prompt

PROMPTS = [Prompt("系统", "照片" * count) for count in range(1, 9)]


@pytest.fixture(scope="module")
def processor() -> Any:
    return AutoProcessor.from_pretrained(checkpoint.locate("demo"))


def test_many_threads_get_the_ids_that_one_gets(processor: Any) -> None:
    tokenizer = PromptTokenizer(lambda: processor)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda prompt: tokenizer.prompt_ids(prompt, True), PROMPTS * 8))
    assert found == [tuple(chat.encode(processor, prompt, True)) for prompt in PROMPTS] * 8


def test_a_line_ends_with_its_line_break(processor: Any) -> None:
    tokenizer = PromptTokenizer(lambda: processor)
    assert tokenizer.answer_text(tokenizer.line_ids("通过"), with_photo=False) == "通过\n"


def test_the_processor_repeats_the_image_token_once_per_visual_token(processor: Any) -> None:
    tokenizer, image = PromptTokenizer(lambda: processor), Image.new("RGB", (64, 96))
    ids = tokenizer.prompt_ids(PROMPTS[0], True)
    found = tokenizer.ids_with_photo(PROMPTS[0], image, do_resize=False)
    assert found == chat.expand_image_token(ids, processor.image_token_id, 2 * 3)[0]  # 32 × 32 pixels each

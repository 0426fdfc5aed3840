"""The demo checkpoint's folder behaves like any other Qwen3-VL checkpoint."""

from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from yanshou.engines.checkpoint import check
from yanshou.world.model import SPECIAL_TOKENS, VOCABULARY
from yanshou.world.training_batches import PromptTokenizer

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture(scope="module")
def processor(untrained: Path) -> Any:
    return AutoProcessor.from_pretrained(untrained)


@pytest.fixture(scope="module")
def model(untrained: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(untrained)


def test_the_folder_loads_as_a_qwen3_vl_of_8_to_12_million_parameters(untrained: Path, model: Any) -> None:
    check(untrained)

    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert 8e6 < sum(parameter.numel() for parameter in model.parameters()) < 12e6


def test_generation_is_greedy_and_stops_at_the_end_of_the_turn(model: Any, processor: Any) -> None:
    settings = model.generation_config
    stop = [processor.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]

    assert (settings.do_sample, settings.eos_token_id, settings.pad_token_id) == (False, stop, stop[1])


@given(TEXT)
def test_any_text_survives_encoding_and_decoding(processor: Any, text: str) -> None:
    tokenizer = processor.tokenizer

    back = tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False)

    assert back == normalize("NFC", text)  # Qwen's tokenizer normalizes to NFC


def test_each_special_token_has_one_id_and_an_embedding(processor: Any, model: Any) -> None:
    ids = [processor.tokenizer(token)["input_ids"] for token in SPECIAL_TOKENS]

    assert ids == [[number] for number in range(len(SPECIAL_TOKENS))]
    assert processor.tokenizer.padding_side == "left"
    assert 1000 < len(processor.tokenizer) <= model.get_input_embeddings().num_embeddings == VOCABULARY
    assert model.config.image_token_id == processor.image_token_id


def test_an_entry_takes_at_most_twelve_tokens(processor: Any) -> None:
    """Short entries keep the longest answers short."""
    line = "螺丝、光纤插头/BBU端光纤插头,符合要求×2，光纤/有保护措施,弯曲半径合理/铠装×3，标签/无法识别×1"

    assert len(processor.tokenizer(line)["input_ids"]) <= 3 * 12


def test_the_chat_template_adds_no_default_system_prompt(processor: Any) -> None:
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "写。"}]}

    text = processor.apply_chat_template([message], add_generation_prompt=True)

    assert text == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>写。<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("size", [(320, 480), (300, 450), (934, 1920)])
def test_a_photo_takes_one_token_per_block_of_its_grid(processor: Any, size: tuple[int, int]) -> None:
    text = processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])

    inputs = processor(text=[text], images=[Image.new("RGB", size)], return_tensors="pt")

    grid = inputs["image_grid_thw"][0]
    assert (inputs["input_ids"] == processor.image_token_id).sum() == grid.prod() // 4
    assert grid.tolist() == [1, *(round(side / 32) * 2 for side in reversed(size))]
    assert inputs["pixel_values"].shape == (grid.prod(), 1536)


def test_training_prompts_have_the_token_ids_of_the_processor(processor: Any) -> None:
    prompts = PromptTokenizer(processor)
    size = (64, 96)  # width × height: six visual tokens
    text = processor.tokenizer.decode(prompts.summary(None))

    own = processor(
        text=[text],
        images=[Image.new("RGB", size)],
        images_kwargs={"size": {"shortest_edge": 1, "longest_edge": 10**6}},
    )

    ids, start = prompts.expand_photo(prompts.summary(None), 6)
    assert list(own["input_ids"][0]) == ids
    assert ids[start : start + 6] == [prompts.image_token] * 6

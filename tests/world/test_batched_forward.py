"""The batched forward pass for training gives the same logits as that of transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

from yanshou.world.batched_forward import PATCH, BatchedForward, patches
from yanshou.world.training_batches import PromptTokenizer, visual_tokens

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def model(untrained: Path) -> Qwen3VLForConditionalGeneration:
    """The real shapes in fp32, with doubled weights: initial weights are so small that they would hide errors."""
    model = Qwen3VLForConditionalGeneration.from_pretrained(untrained, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


@pytest.fixture(scope="module")
def prompts(untrained: Path) -> PromptTokenizer:
    return PromptTokenizer(AutoProcessor.from_pretrained(untrained))


def _photos(count: int, height: int, width: int) -> torch.Tensor:
    noise = np.random.default_rng(height).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return torch.from_numpy(noise)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (128, 64)])
def test_logits_of_photos_equal_those_of_transformers(
    model: Qwen3VLForConditionalGeneration, prompts: PromptTokenizer, height: int, width: int
) -> None:
    photos = _photos(2, height, width)
    question, start = prompts.expand_photo(prompts.summary(None), visual_tokens(photos))
    ids = torch.tensor([question + prompts.answer(line) for line in ("电线/捆扎整齐×2", "电线/分布散乱×1")])
    grid = torch.tensor([[1, height // PATCH, width // PATCH]] * 2)

    with torch.inference_mode():
        batched = BatchedForward(model)(ids, start, photos, answer_from=start + 3)
        own = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=patches(photos).flatten(0, 1),
            image_grid_thw=grid,
            mm_token_type_ids=(ids == prompts.image_token).int(),
        ).logits[:, start + 3 :]

    assert own.std() > 0.1  # the logits are not all alike
    torch.testing.assert_close(batched, own, **TOLERANCE)
    assert not torch.allclose(batched[0, 0], batched[1, 0], atol=1e-3)  # each row sees its own photo


def test_logits_of_text_equal_those_of_transformers(
    model: Qwen3VLForConditionalGeneration, prompts: PromptTokenizer
) -> None:
    ids = torch.tensor([prompts.answer("通过\n理由: 有图片_1 电线/捆扎整齐×2")])

    with torch.inference_mode():
        batched = BatchedForward(model)(ids, 0, None, answer_from=0)
        own = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    torch.testing.assert_close(batched, own, **TOLERANCE)


@pytest.mark.parametrize(("height", "width"), [(480, 320), (512, 384)])
def test_patches_equal_those_of_the_image_processor(untrained: Path, height: int, width: int) -> None:
    photos = _photos(2, height, width)
    processor = AutoProcessor.from_pretrained(untrained).image_processor

    own = processor(images=[photo.permute(2, 0, 1) for photo in photos], return_tensors="pt")

    assert own["image_grid_thw"].tolist() == [[1, height // PATCH, width // PATCH]] * 2
    torch.testing.assert_close(patches(photos).flatten(0, 1), own["pixel_values"], atol=1e-5, rtol=0)

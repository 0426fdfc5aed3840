"""The number of tokens in a prompt, by the checkpoint's chat template and tokenizer. Loads no weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yanshou.engines.chat import render
from yanshou.engines.checkpoint import find
from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt

BATCH_SIZE = 256  # prompts per call of the tokenizer


def count_tokens(prompts: Sequence[Prompt], checkpoint: str, base_checkpoint: str | None = None) -> list[int]:
    """Tokens of each prompt as the model reads it: system prompt, user prompt and the beginning of the answer."""
    from yanshou.engines.loading import load_processor  # torch: only when there is something to count

    folder = find(checkpoint, base_checkpoint).processor
    processor = load_processor(folder)
    return [
        count
        for begin in range(0, len(prompts), BATCH_SIZE)
        for count in _count(processor, prompts[begin:][:BATCH_SIZE], folder)
    ]


def _count(processor: Any, prompts: Sequence[Prompt], folder: Path) -> list[int]:
    texts = [render(processor, prompt, with_photo=False) for prompt in prompts]
    try:
        return list(map(len, processor.tokenizer(texts)["input_ids"]))
    except (TypeError, ValueError) as error:  # odd values in tokenizer_config.json
        raise CheckpointError(
            f"{folder}: its tokenizer does not work ({error}). Take tokenizer_config.json from the base checkpoint."
        ) from error

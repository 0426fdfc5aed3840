"""How many tokens a prompt has: the checkpoint's own chat template and tokenizer, no weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint import locate
from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt

AT_ONCE = 256  # prompts rendered before the tokenizer is called


def count_tokens(prompts: Sequence[Prompt], checkpoint: str) -> list[int]:
    """Tokens of each prompt as the model reads it: system, user, and the beginning of the answer."""
    folder = locate(checkpoint)
    processor = _processor(folder)
    return [
        count
        for begin in range(0, len(prompts), AT_ONCE)
        for count in _count(processor, prompts[begin:][:AT_ONCE], folder)
    ]


def _processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    from yanshou.engines.qwen3_vl import LOADING_ERRORS

    try:
        return AutoProcessor.from_pretrained(folder)
    except LOADING_ERRORS as error:
        reason = " ".join(str(error).split())[:400]
        raise CheckpointError(
            f"{folder}: its tokenizer does not load: {reason} `yanshou doctor --checkpoint` says more."
        ) from error


def _count(processor: Any, prompts: Sequence[Prompt], folder: Path) -> list[int]:
    from jinja2 import TemplateError

    try:
        texts = [_rendered(processor, prompt) for prompt in prompts]
    except (TemplateError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder}: its chat template cannot write system and text ({error}). "
            "Take chat_template.jinja from the base checkpoint."
        ) from error
    try:
        return list(map(len, processor.tokenizer(texts)["input_ids"]))
    except (TypeError, ValueError) as error:  # odd values in tokenizer_config.json
        raise CheckpointError(
            f"{folder}: its tokenizer does not work ({error}). Take tokenizer_config.json from the base checkpoint."
        ) from error


def _rendered(processor: Any, prompt: Prompt) -> str:
    user = [{"type": "text", "text": prompt.user}]  # the engine's own spelling of a message without a photo
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]
    text: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text

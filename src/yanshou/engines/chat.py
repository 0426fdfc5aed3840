"""A prompt as a checkpoint reads it: chat template → text → token ids, one image token per visual token.

    Prompt("系统", "用户")  →  <|im_start|>system⏎ 系统 … <|vision_start|><|image_pad|><|vision_end|>用户 … assistant⏎

Needs the checkpoint's processor, but no weights. The engines, the token counts of a dataset and the demo checkpoint's
training all render prompts here, so that a prompt never has two forms.

Reasoning is switched off where the template has a switch (`enable_thinking`). Templates of Thinking checkpoints have
none and end with `<think>⏎`: about a photo the model then reasons first, and `yanshou.thinking` takes the reasoning
off. A prompt without a photo asks for a verdict, whose first line gets a probability. There the block is closed at
once, as templates with a switch close it, so that the answer begins right behind the prompt.
"""

from collections.abc import Sequence
from typing import Any

from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt
from yanshou.thinking import OPENED

SWITCH = "enable_thinking"  # the variable of templates that can do without reasoning
NO_REASONING = "<think>\n\n</think>\n\n"


def render(processor: Any, prompt: Prompt, with_photo: bool) -> str:
    """System prompt, then photo and user prompt, then the beginning of the answer, in the checkpoint's chat template.

    Raises CheckpointError if the template fails.
    """
    text = _apply_template(processor, prompt, with_photo)
    opened = OPENED.search(text)
    return text if with_photo or opened is None else text[: opened.start()] + NO_REASONING


def switches(processor: Any) -> dict[str, bool]:
    """The variables that switch the template's reasoning off; none where it has no switch."""
    return {SWITCH: False} if SWITCH in str(processor.chat_template) else {}


def opening(processor: Any) -> str:
    """The think tag that the template puts in front of an answer about a photo; "" where it puts none."""
    opened = OPENED.search(render(processor, Prompt("", ""), with_photo=True))
    return opened[0] if opened else ""


def _apply_template(processor: Any, prompt: Prompt, with_photo: bool) -> str:
    from jinja2 import TemplateError

    user = [{"type": "image"}] * with_photo + [{"type": "text", "text": prompt.user}]
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]
    try:
        text: str = processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **switches(processor)
        )
    except (TemplateError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{_folder(processor)}: its chat template cannot render a prompt ({error}). "
            "Take chat_template.jinja from the base checkpoint."
        ) from error
    return text


def encode(processor: Any, prompt: Prompt, with_photo: bool) -> list[int]:
    """Token ids of the rendered prompt, with one image token where the photo goes.

    Raises CheckpointError if the template writes another number of image tokens.
    """
    ids: list[int] = processor.tokenizer(render(processor, prompt, with_photo))["input_ids"]
    image_tokens = ids.count(processor.image_token_id)
    if image_tokens != int(with_photo):
        raise CheckpointError(
            f"{_folder(processor)}: the chat template writes {image_tokens} image tokens, expected {int(with_photo)}. "
            "If the prompt text holds no image token, take chat_template.jinja from the base checkpoint."
        )
    return ids


def expand_image_token(ids: Sequence[int], image_token: int, visual_tokens: int) -> tuple[list[int], int]:
    """`ids` with `visual_tokens` image tokens instead of one, and the position of the first."""
    start = ids.index(image_token)
    return [*ids[:start], *[image_token] * visual_tokens, *ids[start + 1 :]], start


def _folder(processor: Any) -> str:
    return str(processor.tokenizer.name_or_path)

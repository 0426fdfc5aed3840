"""A checkpoint's tokenizer for several threads: prompts and lines → token ids, and an answer's tokens → text.

One thread at a time, because tokenizers are not thread-safe. Prompts that come again are encoded once.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from yanshou.engines import chat
from yanshou.schema.prompt import Prompt

CACHED = 64  # prompts whose ids are kept, and as many lines


class PromptTokenizer:
    """`processor` gives the checkpoint's processor, which is loaded when it is first needed."""

    def __init__(self, processor: Callable[[], Any]) -> None:
        self._processor = processor
        self._lock = threading.Lock()
        self._prompt_ids = lru_cache(maxsize=CACHED)(self._encode_prompt)
        self._line_ids = lru_cache(maxsize=CACHED)(self._encode_line)

    def prompt_ids(self, prompt: Prompt, with_photo: bool) -> tuple[int, ...]:
        """Token ids of the prompt, with one image token where the photo goes. Raises CheckpointError."""
        with self._lock:
            return self._prompt_ids(prompt, with_photo)

    def line_ids(self, line: str) -> list[int]:
        """Token ids of an answer's first line and its line break."""
        with self._lock:
            return self._line_ids(line)

    def ids_with_photo(self, prompt: Prompt, image: Any, **images_kwargs: Any) -> list[int]:
        """What the processor itself makes of a prompt and its photo, one image token per visual token."""
        with self._lock:
            text = chat.render(self._processor(), prompt, with_photo=True)
            inputs = self._processor()(text=[text], images=[image], images_kwargs=images_kwargs)
        return list(inputs["input_ids"][0])

    def answer_text(self, tokens: Sequence[int], with_photo: bool) -> str:
        """The text of an answer's tokens, special tokens included.

        It begins with the think tag that the template opened, so that a raw text holds the whole block.
        """
        with self._lock:
            text: str = self._processor().tokenizer.decode(
                tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        return self._think_opening + text if with_photo else text

    @cached_property
    def _think_opening(self) -> str:
        """The think tag that the prompts about photos end with; "" for most checkpoints."""
        return chat.opening(self._processor())

    def _encode_prompt(self, prompt: Prompt, with_photo: bool) -> tuple[int, ...]:
        return tuple(chat.encode(self._processor(), prompt, with_photo))

    def _encode_line(self, line: str) -> list[int]:
        return list(self._processor().tokenizer(f"{line}\n")["input_ids"])

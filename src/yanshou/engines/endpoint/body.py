"""What is asked of a server: messages and sampling, as fields of a chat completion."""

import hashlib
from typing import Any

from yanshou.schema.prompt import Prompt
from yanshou.settings import SamplingSettings

Body = dict[str, Any]


def messages(prompt: Prompt, photo_url: str | None = None) -> list[Body]:
    """System message, then photo and user prompt. Our system message always: servers and templates have others."""
    text = {"type": "text", "text": prompt.user}
    photo = {"type": "image_url", "image_url": {"url": photo_url}}
    user = prompt.user if photo_url is None else [photo, text]
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]


def sampling_fields(sampling: SamplingSettings, key: str) -> Body:
    """How the next token is chosen. OpenAI has no `repetition_penalty`, so it is sent only where it is set."""
    fields: Body = {"max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}
    if sampling.temperature > 0:
        fields |= {"top_p": sampling.top_p, "seed": seed_of(sampling.seed, key)}
    if sampling.repetition_penalty != 1.0:
        fields["repetition_penalty"] = sampling.repetition_penalty
    return fields


def seed_of(seed: int, key: str) -> int:
    """A photo's own seed, below 2³¹: the same in every run and order."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:4]) >> 1

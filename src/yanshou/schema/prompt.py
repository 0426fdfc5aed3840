"""The text that the model is given: a system message and a user message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """System and user prompt. A photo comes before `user` in the user message."""

    system: str
    user: str

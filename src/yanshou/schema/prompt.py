"""The text that the model is given: a system message and a user message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """The words beside a photo. The photo comes first in the user message, then `user`."""

    system: str
    user: str

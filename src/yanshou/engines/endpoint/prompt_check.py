"""Whether the server's chat template makes the prompt that a local engine makes, by its number of tokens.

Needs the folder that `--checkpoint` names: tokenizer, chat template, image processor; no weights.
"""

from yanshou.engines import chat, checkpoint
from yanshou.engines.endpoint.picture import MERGE, PATCH
from yanshou.engines.loading import load_processor
from yanshou.engines.tokenizer import PromptTokenizer
from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt

DIFFERS = (
    "the server's prompt has {theirs} tokens, and {folder} makes {ours} of the same request: another chat template, "
    "tokenizer or picture size. Its lines may differ from those of a local engine."
)


class PromptCheck:
    """Counts the tokens of a request's prompt with a local tokenizer."""

    def __init__(self, folder: str, base: str | None) -> None:
        self._folder = checkpoint.find(folder, base, weights=False).processor
        if fault := next(checkpoint.processor_faults(self._folder), None):
            raise CheckpointError(fault)
        self._processor = load_processor(self._folder)
        images = getattr(self._processor, "image_processor", None)
        if (getattr(images, "patch_size", None), getattr(images, "merge_size", None)) != (PATCH, MERGE):
            raise CheckpointError(
                f"{self._folder}: no processor of Qwen3-VL, so it cannot check a server's prompts. Leave "
                "--checkpoint out."
            )
        self._tokenizer = PromptTokenizer(lambda: self._processor)
        self._told = False

    @property
    def switches(self) -> dict[str, bool]:
        """What switches the template's reasoning off, as local engines do it."""
        return chat.switches(self._processor)

    def tokens(self, prompt: Prompt, visual_tokens: int | None) -> int:
        """Of the whole prompt. `visual_tokens`: of its photo; None without one. Raises CheckpointError."""
        count = len(self._tokenizer.prompt_ids(prompt, visual_tokens is not None))
        return count if visual_tokens is None else count - 1 + visual_tokens

    def difference(self, ours: int, theirs: int | None) -> str | None:
        """The warning where the numbers differ, the first time."""
        if self._told or theirs is None or theirs == ours:
            return None
        self._told = True
        return DIFFERS.format(theirs=theirs, ours=ours, folder=self._folder)

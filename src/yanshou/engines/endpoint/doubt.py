"""Whether failures are the photos' or the server's: a server that refuses everything must not fail every group.

answers    ✓  ✗  ✗  ✓  ✗ ✗ ✗ …  ✗                      ✗: the server gave no usable answer
yielded    ✓        ✗ ✗ ✓               after LIMIT in a row one trial decides: the server answers it and the
                                        photos fail, or the run ends and they stay unanswered
"""

from collections.abc import Callable, Iterator

from yanshou.engines.base import Answer, Completion, Failure
from yanshou.errors import GenerationError, RunError

LIMIT = 20  # failures in a row


class Doubt:
    """Holds failures back until the server has answered something. `trial` raises what a trial request fails with."""

    def __init__(self, trial: Callable[[], None]) -> None:
        self._trial = trial
        self._held: list[Failure] = []

    def pass_on(self, answer: Answer) -> Iterator[Answer]:
        """The answers that are beyond doubt now. Raises RunError where the server answers nothing any more."""
        if isinstance(answer, Failure) and isinstance(answer.error, GenerationError):
            self._held.append(answer)
            if len(self._held) < LIMIT:
                return
            self._try(answer.error)
            yield from self.rest()
            return
        if isinstance(answer, Completion):
            yield from self.rest()
        yield answer

    def rest(self) -> Iterator[Answer]:
        """The failures that are still held back: too few to blame the server."""
        held, self._held = self._held, []
        yield from held

    def _try(self, last: GenerationError) -> None:
        try:
            self._trial()
        except GenerationError as error:
            raise RunError(
                f"the last {len(self._held)} requests failed, and so did a trial: {error}. The last of them: {last}. "
                "Repair the server, and run the same command again: it resumes."
            ) from None

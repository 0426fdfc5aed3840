"""Whether failures are the photos' or the server's: a server that refuses everything must not fail every group.

    answers    ✓  ✗  ✗  ✓  ✗ ✗ ✗ …  ✗                      ✗: the server gave no usable answer
    yielded    ✓        ✗ ✗ ✓               after LIMIT in a row one trial decides: the server answers it and the
                                            photos fail, or the run ends and they stay unanswered

A trial proves less than a photo: a gateway may refuse large requests only. So MOST failures in a row end the run.
"""

from collections.abc import Callable, Iterator

from yanshou.engines.base import Answer, Completion, Failure
from yanshou.errors import GenerationError, RunError

LIMIT = 20  # failures in a row before a trial
MOST = 200  # failures in a row, whatever the trials say
RESUME = "Repair the server, and run the same command again: it resumes."


class Doubt:
    """Holds failures back until the server has answered something. `trial` raises what a trial request fails with."""

    def __init__(self, trial: Callable[[], None]) -> None:
        self._trial = trial
        self._held: list[Failure] = []
        self._in_a_row = 0

    def pass_on(self, answer: Answer) -> Iterator[Answer]:
        """The answers that are beyond doubt now. Raises RunError where the server answers nothing any more."""
        if isinstance(answer, Failure) and isinstance(answer.error, GenerationError):
            self._held.append(answer)
            self._in_a_row += 1
            if len(self._held) == LIMIT:
                self._decide(answer.error)
                yield from self.rest()
            return
        if isinstance(answer, Completion):
            self._in_a_row = 0
            yield from self.rest()
        yield answer

    def rest(self) -> Iterator[Answer]:
        """The failures that are still held back: too few to blame the server."""
        held, self._held = self._held, []
        yield from held

    def _decide(self, last: GenerationError) -> None:
        """Raises RunError where the failures are the server's."""
        if self._in_a_row >= MOST:
            raise RunError(f"the last {MOST} requests all failed. The last of them: {last}. {RESUME}")
        try:
            self._trial()
        except GenerationError as error:
            raise RunError(
                f"the last {self._in_a_row} requests failed, and so did a trial: {error}. The last of them: {last}. "
                f"{RESUME}"
            ) from None

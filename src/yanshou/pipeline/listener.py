"""Who follows a run while it is under way: a progress bar, a test, nobody."""

from typing import Any, Protocol

from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import Answer, Outcome


class Listener(Protocol):
    """Is called in the run's own thread; the result it is given is updated as the run proceeds."""

    def begin(self, result: MissionResult) -> None:
        """The mission's files are open, and its warnings are known. Not called for a mission that cannot run."""

    def photo(self, answer: Answer) -> None:
        """A request was answered; its group may still wait for others."""

    def group(self, outcome: Outcome[Any]) -> None:
        """A group's line or faults are on disk."""

    def end(self, result: MissionResult) -> None:
        """The mission ended, one way or another. Called once for every mission."""


class NullListener:
    """A listener that does nothing."""

    def begin(self, result: MissionResult) -> None: ...
    def photo(self, answer: Answer) -> None: ...
    def group(self, outcome: Outcome[Any]) -> None: ...
    def end(self, result: MissionResult) -> None: ...

"""The interface through which a run reports its progress."""

from typing import Any, Protocol

from yanshou.engines.base import Answer
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import Outcome


class Listener(Protocol):
    """Called in the run's thread. The result that it gets is updated as the run proceeds."""

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

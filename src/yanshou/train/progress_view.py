"""The interface through which a training reports its progress; `yanshou.cli.train_progress` implements it."""

from typing import Protocol

from yanshou.train.curves import Curves


class TrainView(Protocol):
    """Called in the training's thread."""

    def say(self, message: str) -> None:
        """Shows one line."""

    def begin(self) -> None:
        """The trainer's process has started."""

    def update(self, curves: Curves) -> None:
        """The curves as they are now."""

    def end(self) -> None:
        """The trainer's process has ended."""


class NullView:
    """Shows nothing."""

    def say(self, message: str) -> None: ...
    def begin(self) -> None: ...
    def update(self, curves: Curves) -> None: ...
    def end(self) -> None: ...

"""Workers that died or never came, and what the user must know about them."""

from yanshou.engines.workers.protocols import Place
from yanshou.engines.workers.seat import MAX_DEATHS, Died
from yanshou.errors import RunError


class Losses:
    """The losses of one crew. Each warning is given once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.deaths = 0
        self.data_wait_s = 0.0  # in which dead workers waited for prepared photos
        self._last_cause = ""
        self._reported_deaths = 0  # deaths that earlier warnings were about
        self._warnings: list[str] = []

    def died(self, death: Died) -> None:
        self.deaths, self._last_cause = self.deaths + 1, death.cause
        self.data_wait_s += death.seat.reply.data_wait_s

    def given_up(self, cause: str, left: int) -> None:
        """A seat gets no other worker. `left`: how many seats there still are."""
        self._warnings.append(
            f"{MAX_DEATHS} workers in a row died without an answer, and are not replaced: {cause}. "
            f"The run has {left} of {self._place.workers} workers left"
        )

    def short(self, present: int, shortage: str) -> None:
        """The run continues with the workers that are present."""
        self._warnings.append(f"{present} of {self._place.workers} workers have started: {shortage}")

    def all_died(self) -> RunError:
        return RunError(
            f"every worker died {MAX_DEATHS} times without an answer in between. The last cause: "
            f"{self._last_cause}. Their log files: {self._place.logs}"
        )

    def take_warnings(self, others: bool) -> list[str]:
        """What came since the last call. `others`: whether workers are left, which took the requests of the dead."""
        if count := self.deaths - self._reported_deaths:
            who, whose = ("1 worker", "its") if count == 1 else (f"{count} workers", "their")
            took = f", and others took {whose} requests" if others else ""
            self._warnings.append(
                f"{who} died{took}. The last cause: {self._last_cause}. Log files: {self._place.logs}"
            )
        warnings, self._warnings, self._reported_deaths = self._warnings, [], self.deaths
        return warnings

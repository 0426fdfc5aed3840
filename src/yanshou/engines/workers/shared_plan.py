"""A run as all workers plan it: with the smallest of their capacities."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from yanshou.engines.base import RunPlan
from yanshou.engines.workers.messages import WorkerPlan
from yanshou.engines.workers.seat import Seat
from yanshou.errors import RunError

CAPACITY = ("slots", "prefill_batch_tokens", "prefill_batch_visual_tokens")  # as an environment records it


class SharedPlan:
    """One run, and the capacity that its workers share. `out_of_memory`: of the worker that had most before the run."""

    def __init__(self, run: RunPlan, out_of_memory: int) -> None:
        self.run, self.out_of_memory = run, out_of_memory
        self._capacity: dict[str, int] | None = None  # None until all have planned

    @property
    def settled(self) -> bool:
        """Whether all have planned. A worker that comes later takes the capacity over."""
        return self._capacity is not None

    def settle(self, plans: Iterable[WorkerPlan]) -> None:
        """All have planned."""
        self._capacity = _smallest(plans)

    def again(self, seat: Seat) -> RunPlan | None:
        """The run as the worker has to plan it once more; None where its plan is that of the others.

        It looks like a run whose earlier part had their capacity in the worker's place. Raises RunError for a worker
        that could not take their capacity.
        """
        capacity, plan = self._capacity, seat.plan
        if capacity is None or plan is None or plan.environment.items() >= capacity.items():
            return None
        assert seat.facts
        if seat.imposed:
            raise RunError(
                f"the worker on {seat.facts.host} plans {_smallest([plan])}, the others "
                f"{capacity}. Give all workers the same GPU memory."
            )
        earlier: dict[str, Any] = {**plan.environment, **capacity}
        return replace(self.run, earlier=[earlier, *self.run.earlier])


def _smallest(plans: Iterable[WorkerPlan]) -> dict[str, int]:
    """The smallest capacity over all workers; {} for an engine without one."""
    environments = [plan.environment for plan in plans]
    return {
        name: min(environment[name] for environment in environments)
        for name in CAPACITY
        if all(name in environment for environment in environments)
    }

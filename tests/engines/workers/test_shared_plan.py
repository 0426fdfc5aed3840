"""All workers run with the smallest capacity that any of them has."""

import pytest

from yanshou.engines.base import RunPlan
from yanshou.engines.workers.messages import WorkerFacts, WorkerPlan
from yanshou.engines.workers.seat import Seat
from yanshou.engines.workers.shared_plan import SharedPlan
from yanshou.errors import RunError
from yanshou.schema.prompt import Prompt

RUN = RunPlan(Prompt("s", "u"), photos=True, earlier=({"slots": 9},))


def planned(slots: int, tokens: int) -> WorkerPlan:
    return WorkerPlan({"device": "H200", "slots": slots, "prefill_batch_tokens": tokens}, in_flight=slots)


def seat(plan: WorkerPlan | None) -> Seat:
    return Seat(1, handle=None, facts=WorkerFacts("gpu-2", 7, "H200", {}, {}), plan=plan)  # type: ignore[arg-type]


def test_nothing_is_planned_again_before_all_have_planned() -> None:
    shared = SharedPlan(RUN, 0)
    assert (shared.settled, shared.again(seat(planned(4, 100)))) == (False, None)


def test_a_worker_with_room_for_more_plans_again_as_if_it_had_had_the_smallest_before() -> None:
    shared = SharedPlan(RUN, 0)
    shared.settle([planned(4, 100), planned(8, 50)])
    again = shared.again(seat(planned(8, 50)))
    assert again is not None
    assert list(again.earlier) == [{"device": "H200", "slots": 4, "prefill_batch_tokens": 50}, {"slots": 9}]
    assert shared.again(seat(planned(4, 50))) is None
    assert shared.again(seat(None)) is None


def test_engines_without_a_capacity_agree() -> None:
    shared = SharedPlan(RUN, 0)
    shared.settle([WorkerPlan({"device": "cpu"}, 4)] * 2)
    assert shared.settled
    assert shared.again(seat(WorkerPlan({"device": "cpu"}, 4))) is None


def test_a_worker_that_cannot_take_the_capacity_is_named() -> None:
    shared = SharedPlan(RUN, 0)
    shared.settle([planned(4, 100)])
    refused = seat(planned(2, 100))
    refused.imposed = True
    with pytest.raises(RunError, match=r"the worker on gpu-2 plans \{'slots': 2, .*\}, the others \{'slots': 4, "):
        shared.again(refused)

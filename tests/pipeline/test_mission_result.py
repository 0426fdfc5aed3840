"""The exit status of a run over several missions."""

from yanshou.pipeline.mission_result import MissionResult, exit_status


def test_the_worst_of_all_missions_is_the_exit_status() -> None:
    fine, failed = MissionResult("a", written=1), MissionResult("b", failed=1)
    broken, stopped = MissionResult("c", error="no"), MissionResult("d", interrupted=True, failed=1)
    assert [exit_status(results) for results in ([], [fine], [failed, fine], [failed, broken], [broken, stopped])] == [
        1, 0, 3, 1, 130,
    ]  # fmt: skip

"""`yanshou.engines.endpoint.doubt`: a server that refuses everything fails no group."""

from collections.abc import Callable

import pytest

from yanshou.engines.base import Answer, Completion, Failure
from yanshou.engines.endpoint.doubt import LIMIT, MOST, Doubt
from yanshou.errors import GenerationError, PhotoError, RunError


def bad(number: int) -> Failure:
    return Failure(number, GenerationError("the server answered 500"))


def good(number: int) -> Completion:
    return Completion(number, "一", "stop")


def never() -> None:
    raise AssertionError("no trial is due")


def passed(trial: Callable[[], None], *answers: Answer) -> list[int]:
    doubt = Doubt(trial)
    return [one.id for answer in answers for one in doubt.pass_on(answer)] + [one.id for one in doubt.rest()]


def test_a_failure_is_the_photos_when_the_server_answers_another() -> None:
    doubt = Doubt(never)
    assert [*doubt.pass_on(bad(0)), *doubt.pass_on(bad(1))] == []
    assert [one.id for one in doubt.pass_on(good(2))] == [0, 1, 2]


def test_a_photo_that_cannot_be_read_says_nothing_about_the_server() -> None:
    doubt = Doubt(never)
    assert list(doubt.pass_on(bad(0))) == []
    assert [one.id for one in doubt.pass_on(Failure(1, PhotoError("empty")))] == [1]


def test_few_failures_without_any_answer_are_failures() -> None:
    assert passed(never, *map(bad, range(LIMIT - 1))) == list(range(LIMIT - 1))


def test_many_failures_in_a_row_are_the_photos_where_a_trial_succeeds() -> None:
    assert passed(lambda: None, *map(bad, range(2 * LIMIT + 1))) == list(range(2 * LIMIT + 1))


def test_many_failures_in_a_row_end_the_run_where_a_trial_fails() -> None:
    def trial() -> None:
        raise GenerationError("the server answered 500, too")

    with pytest.raises(RunError) as caught:
        passed(trial, good(0), *map(bad, range(LIMIT)))
    assert str(caught.value) == (
        f"the last {LIMIT} requests failed, and so did a trial: the server answered 500, too. The last of them: the "
        "server answered 500. Repair the server, and run the same command again: it resumes."
    )


def test_endless_failures_end_the_run_whatever_the_trials_say() -> None:
    doubt = Doubt(lambda: None)
    before = [one.id for number in range(MOST - 1) for one in doubt.pass_on(bad(number))]
    assert before == list(range(MOST - LIMIT))
    with pytest.raises(RunError, match=f"the last {MOST} requests all failed. The last of them: the server answered 5"):
        list(doubt.pass_on(bad(MOST)))


def test_an_answer_begins_the_count_again() -> None:
    answers = [good(number) if number % (MOST - 1) == 0 else bad(number) for number in range(3 * MOST)]
    assert len(passed(lambda: None, *answers)) == 3 * MOST

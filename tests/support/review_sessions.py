"""Sessions of a store, as tests use them: a clock for leases, new browsers, what is offered and refused."""

import pytest

from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.store import Store


class SteadyClock:
    """A clock of leases that only a test moves."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def browser(store: Store, reader: str) -> str:
    """A new browser, with a name."""
    session = store.sign_in("reader", store.key("reader"))
    store.set_name(session, reader)
    return session


def take_all(store: Store, session: str, mission: str | None = None) -> list[int]:
    """Every group that the session is offered, in order."""
    return [group.id for group in store.next_groups(session, "main", mission, [], 10**6)[0].groups]


def refused(code: str) -> pytest.RaisesExc:
    """Expects a refusal with this code."""
    return pytest.RaisesExc(RefusalError, check=lambda error: error.code == code)

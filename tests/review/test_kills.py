"""SIGKILLs of the server while two clients answer: nothing confirmed is lost or doubled, no group is given to both.

`make test` kills a few times; YANSHOU_REVIEW_KILLS=1000 is the campaign. Each round has a store of its own. Between
kills the clock of leases sometimes moves by more than their length, so that they end and are taken by the other client.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from support.review_checks import export_faults, faults, rows
from support.review_client import Habits, Journal, ReviewClient
from support.review_files import ALL, write_review_files
from support.review_server import ReviewServer
from support.review_store import make_store

from yanshou.review.store.readings import Answer, GroupRule, next_step

A_FEW, OF_A_ROUND = 6, 50  # kills
KILLS = int(os.environ.get("YANSHOU_REVIEW_KILLS", "0"))  # 0: a few
GROUPS_PER_KILL = 20  # more than two clients answer between two kills
LONGEST_S = 0.5  # between a start and its kill
READERS = (("李", "Zhao Lin"), ("王", "陈静"))


def rounds() -> list[int]:
    """The kills of each round."""
    whole, rest = divmod(KILLS or A_FEW, OF_A_ROUND)
    return [OF_A_ROUND] * whole + [rest] * bool(rest)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("number", "kills"), list(enumerate(rounds())))
def test_a_killed_server_loses_and_doubles_no_answer_and_gives_no_group_to_two(
    tmp_path: Path, number: int, kills: int
) -> None:
    random, store = Random(f"kills {number}"), tmp_path / "review.sqlite"
    files = write_review_files(tmp_path, kills * GROUPS_PER_KILL, 1 + number % 2, kinds=ALL)
    key = make_store(store, files, all_groups=True, second_share=random.choice((0.1, 0.5)))
    with ReviewServer(store, tmp_path) as server:
        journal = Journal(server.clock)
        clients = [
            ReviewClient(server.port, key, names, journal, Random(f"{number} {names}"), Habits(photos=0.3))
            for names in READERS
        ]
        work = Work(clients)
        for _ in range(kills):
            server.start(wait=False)
            time.sleep(random.uniform(0, LONGEST_S))
            if random.random() < 0.2:
                server.clock.move(random.uniform(290, 900))
                time.sleep(random.uniform(0, LONGEST_S / 2))
            server.kill()
            if random.random() < 0.5:  # the other half is for the server itself to recover
                assert faults(store, journal, journal.confirmed(), at_rest=False) == []
        server.start()
        work.finish()
        server.kill()
    assert faults(store, journal, journal.confirmed(), at_rest=True) == []
    assert wrong_steps(store) == []
    assert export_faults(store, journal, tmp_path) == []
    refused = sum(bool(sent.refusal) for sent in journal.sent)
    print(
        f"{kills} kills, {len(journal.confirmed())} answers and undos confirmed, {refused} refused, "
        f"{journal.granted} groups given; clock {server.clock.offset:.0f} s ahead"
    )
    assert len(journal.confirmed()) > kills


class Work:
    """Clients that work in threads until they are told to finish."""

    def __init__(self, clients: Sequence[ReviewClient]) -> None:
        self._enough, self._threads = threading.Event(), ThreadPoolExecutor(len(clients))
        self._working = [self._threads.submit(self._work, client) for client in clients]

    def finish(self) -> None:
        """Returns when each client has the reply to its last request. Raises what went wrong in a client."""
        self._enough.set()
        for working in self._working:
            working.result()
        self._threads.shutdown()

    def _work(self, client: ReviewClient) -> None:
        client.sign_in()
        while not self._enough.is_set():
            if not client.step():
                time.sleep(0.02)
        client.connection.close()


def wrong_steps(store: Path) -> list[str]:
    """Groups whose next step is not that of their answers."""
    answers = defaultdict[int, list[Answer]](list)
    for row in rows(store, "SELECT * FROM answers ORDER BY id"):
        found = Answer(row["reader"], row["role"], row["label"], bool(row["blind"]), row["at"])
        answers[row["group_ref"]].append(found)
    return [
        f"{row['group_id']}: {row['need']}"
        for row in rows(store, "SELECT * FROM groups")
        if row["need"] != next_step(answers[row["id"]], GroupRule(row["label"] or None, bool(row["sampled"]), False))
    ]

"""Rows of a store, as its tables hold them."""

from typing import Any

from yanshou.review.store.store import Store


def rows(store: Store, sql: str, *values: object) -> list[dict[str, Any]]:
    with store.reading() as db:
        return [dict(row) for row in db.execute(sql, values)]


def queued_groups(store: Store) -> dict[str, dict[str, Any]]:
    """The groups of the queue by their ids, in the order of the queue."""
    found = rows(store, "SELECT * FROM groups WHERE queued = 1 ORDER BY position")
    return {row["group_id"]: row for row in found}


def answer_rows(store: Store) -> list[dict[str, Any]]:
    return rows(store, "SELECT * FROM answers ORDER BY id")

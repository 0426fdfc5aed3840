"""The store as the server calls it: real SQLite files."""

from pathlib import Path
from uuid import uuid4

from support.review_rows import answer_rows, queued_groups

from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.imported_groups import ImportedGroup, ImportedPhoto
from yanshou.review.store.store import Store
from yanshou.schema.records import GroupKey


def test_a_group_is_read_answered_undone_and_read_again(tmp_path: Path) -> None:
    key = GroupKey("挡风板安装检查", None, "QC-1")
    group = ImportedGroup(key, (ImportedPhoto("1.jpg", "无关图片×1"),), "doubt", p_pass=0.4)
    with Store.open(tmp_path / "review.sqlite", second_share=0.0) as store:
        assert store.add_groups([group]).added == 1
        session = store.sign_in("reader", store.key("reader"))
        assert store.set_name(session, " 李 ") == "李"
        given, sides = store.next_groups(session, "main", None, [], 2)
        (shown,) = given.groups
        assert (shown.mission, [photo.summary for photo in shown.photos]) == (key.mission, ["无关图片×1"])
        assert (given.held, given.left, sides) == ((), 1, {})
        uid = str(uuid4())
        assert store.answer(session, NewAnswer(uid, shown.id, "pass", "可见")) == 0
        assert store.undo(session, str(uuid4()), uid) == (shown, None)
        assert store.answer(session, NewAnswer(str(uuid4()), shown.id, "fail")) == 0
        assert store.reveal(session, shown.id).p_pass == 0.4
        (past,) = store.history(session)
        assert (past.label, past.group_id, past.revealed) == ("fail", "QC-1", True)
        assert queued_groups(store)["QC-1"]["need"] == "done"
        assert [answer["label"] for answer in answer_rows(store)] == ["pass", None, "fail"]

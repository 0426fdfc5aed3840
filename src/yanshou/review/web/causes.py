"""Why the server refuses a request: one code for the page, one HTTP status, one sentence in each language.

    409 {"error": "lease_lost", "message": "该组已被收回，可能已交给其他人。您的结论没有保存，请继续下一组。"}

A sentence never holds anything of a group, a path or another reader: what a refusal says is the same for every group.
The terminal gets the particulars.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from yanshou.review.store.refusals import Code

Language = Literal["zh", "en"]


class Cause(NamedTuple):
    """What a code means."""

    status: int  # of HTTP
    zh: str
    en: str


CAUSES: Mapping[Code, Cause] = {
    "sign_in": Cause(
        401,
        "尚未登录。请打开负责人发给您的起始链接。",
        "You are not signed in. Open the start link that you were given.",
    ),
    "forbidden_host": Cause(
        421,
        "不能用这个地址访问。请使用终端里打印的起始链接。",
        "This server does not answer to that address. Use the start link that the terminal shows.",
    ),
    "forbidden_origin": Cause(
        403,
        "请求来自其他网页，已拒绝。请在起始链接打开的页面中操作。",
        "The request came from another page and was refused. Work in the page that the start link opens.",
    ),
    "bad_request": Cause(
        400,
        "请求的内容不符合要求。请刷新页面后重试。",
        "The request is not what this server expects. Reload the page and try again.",
    ),
    "bad_name": Cause(
        400,
        "姓名请以汉字、字母或数字开头，不超过 40 个字，不含逗号。",
        "A name begins with a letter or a digit, has at most 40 characters and no comma.",
    ),
    "not_found": Cause(
        404, "没有这个内容，或者您现在无权查看。", "There is no such thing, or it is not yours to see now."
    ),
    "not_allowed": Cause(405, "该地址不支持这种请求。", "This address does not take requests of this kind."),
    "too_slow": Cause(
        408,
        "请求传输太慢，已中断。请检查网络后重试。",
        "The request arrived too slowly and was dropped. Check the network and try again.",
    ),
    "too_large": Cause(
        413, "请求太大，已拒绝。请缩短填写的内容。", "The request is too large and was refused. Write a shorter text."
    ),
    "no_name": Cause(409, "请先填写您的姓名。", "Enter your name first."),
    "lease_lost": Cause(
        409,
        "该组已被收回，可能已交给其他人。您的结论没有保存，请继续下一组。",
        "This group was taken back and may be with somebody else. Nothing was saved. Continue with the next group.",
    ),
    "answered": Cause(
        409,
        "该组您已经给出过结论，这次没有保存。要更改请先撤销。",
        "You have already answered this group; nothing was saved. To change your answer, undo it first.",
    ),
    "uid_used": Cause(
        409,
        "这个编号已用于另一条结论，这次没有保存。请刷新页面后重试。",
        "This id belongs to another answer; nothing was saved. Reload the page and try again.",
    ),
    "photo_missing": Cause(
        404, "照片文件不存在，可能已被移动或删除。", "The photo's file is gone: it was moved or deleted."
    ),
    "photo_unreadable": Cause(422, "照片已损坏，无法显示。", "The photo is damaged and cannot be shown."),
    "busy": Cause(
        503,
        "数据库正忙，结论没有保存。请稍后重试。",
        "The store is busy and nothing was saved. Try again in a moment.",
    ),
    "disk_full": Cause(
        507,
        "服务器磁盘已满，结论没有保存。请通知负责人，腾出空间后重试。",
        "The server's disk is full and nothing was saved. Tell the lead, and try again when there is room.",
    ),
    "store_failed": Cause(
        500,
        "数据库无法写入，结论没有保存。请通知负责人查看终端。",
        "The store cannot be written and nothing was saved. Tell the lead to look at the terminal.",
    ),
    "failed": Cause(
        500,
        "服务器内部出错。请通知负责人查看终端。",
        "The server met a fault of its own. Tell the lead to look at the terminal.",
    ),
}


def body(code: Code, language: Language) -> dict[str, str]:
    """What the page gets."""
    cause = CAUSES[code]
    return {"error": code, "message": cause.zh if language == "zh" else cause.en}

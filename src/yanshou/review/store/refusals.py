"""What the server refuses a page, with a code that the page turns into its own words.

    sign_in     the cookie belongs to no session, or the key in the address is another one
    no_name     the session has no name yet
    lease_lost  another session has the group
    answered    the group needs no answer of this reader: they gave one, or it is settled
    uid_used    the id belongs to another answer
    not_found   no such group, photo or answer that this session may see
    bad_request a value that no page sends

Those are the store's own. The other codes are those of `guard`, `photos` and `app`; `causes` has a sentence for each.
Faults of the store itself (full disk, another program's lock, damage) are those of `errors`.
"""

from typing import Literal

from yanshou.errors import YanshouError

Code = Literal[
    "sign_in", "no_name", "lease_lost", "answered", "uid_used", "not_found", "bad_request",
    "forbidden_host", "forbidden_origin", "not_allowed", "too_slow", "too_large", "bad_name",
    "photo_missing", "photo_unreadable", "busy", "disk_full", "store_failed", "failed",
]  # fmt: skip


class RefusalError(YanshouError):
    """A request that is not carried out. Nothing has changed. `code` is for the page, the message for the terminal."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

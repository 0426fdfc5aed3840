"""What the store refuses a page, with a code that the page turns into its own words.

    sign_in     the cookie belongs to no session, or the key in the address is another one
    no_name     the session has no name yet
    lease_lost  another session has the group
    answered    the group needs no answer of this reader: they gave one, or it is settled
    uid_used    the id belongs to another answer
    not_found   no such group, photo or answer that this session may see
    bad_request a value that no page sends

Faults of the store itself (full disk, another program's lock, damage) are errors of `store_errors`.
"""

from typing import Literal

from yanshou.errors import YanshouError

Code = Literal["sign_in", "no_name", "lease_lost", "answered", "uid_used", "not_found", "bad_request"]


class RefusalError(YanshouError):
    """A request that the store does not carry out. Nothing has changed. `code` is for the page."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

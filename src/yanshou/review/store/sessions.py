"""Sessions of browsers, and the names of readers.

A name is no account: whoever has the link may give any name. Names are compared in NFC, without spaces at the ends,
with single spaces between, and without regard to case, so `Li`, `li` and `Li ` are one reader: the one that came first
decides the spelling.
"""

import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from yanshou.review.store import leases
from yanshou.review.store.readings import Role
from yanshou.review.store.refusals import RefusalError
from yanshou.text import nfc, trimmed

LONGEST_NAME = 40  # characters
# Letters and marks that show nothing (Default_Ignorable_Code_Point of Unicode, and the empty Braille pattern): with
# them one person could have two names that look the same. Python's isprintable finds those of other categories.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
LEAD = "lead"  # who answers where the lead has given no name


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One browser that has opened the link."""

    id: str  # the cookie's value
    role: Role
    reader: str | None  # the name; None: not given yet


def now() -> str:
    """The wall clock's time: ISO 8601, milliseconds, local offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def sign_in(db: sqlite3.Connection, role: Role, key: str) -> str:
    """A session of its own, for the holder of the link's key. Returns its id. Raises RefusalError: sign_in."""
    (right,) = db.execute("SELECT value FROM meta WHERE key = ?", (f"{role}_key",)).fetchone()
    if not hmac.compare_digest(key.encode(errors="replace"), right.encode()):
        raise RefusalError("sign_in", "The link is not the one that `yanshou review` printed. Open that link.")
    session = secrets.token_urlsafe(32)
    db.execute("INSERT INTO sessions VALUES (?, ?, NULL, ?)", (session, role, now()))
    return session


def find(db: sqlite3.Connection, session: str) -> SignedIn:
    """The session of a cookie. Raises RefusalError: sign_in."""
    row = db.execute("SELECT id, role, reader FROM sessions WHERE id = ?", (session,)).fetchone()
    if row is None:
        raise RefusalError("sign_in", "This browser is not signed in. Open the link that `yanshou review` printed.")
    return SignedIn(*row)


def find_reader(db: sqlite3.Connection, session: str) -> str:
    """The name of a reader's session. Raises RefusalError: sign_in, no_name."""
    found = find(db, session)
    if found.role != "reader":
        raise RefusalError("sign_in", "This is the lead's session. Open the reviewers' link.")
    if found.reader is None:
        raise RefusalError("no_name", "Give a name first.")
    return found.reader


def find_lead(db: sqlite3.Connection, session: str) -> str:
    """The name of a lead's session, `lead` without one. Raises RefusalError: sign_in."""
    found = find(db, session)
    if found.role != "lead":
        raise RefusalError("sign_in", "This is a reviewer's session. Open the lead's link.")
    return found.reader or LEAD


def name(db: sqlite3.Connection, session: str, given: str) -> str:
    """Names the session. Under another name it holds none of its groups any longer. Returns the name as known.

    Raises RefusalError: sign_in, bad_request.
    """
    found, reader = find(db, session), _known(db, _clean(given))
    if reader != found.reader:
        leases.release_all(db, session)
        db.execute("UPDATE sessions SET reader = ? WHERE id = ?", (reader, session))
    if found.role == "reader":
        db.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (session, reader))
    return reader


def names_of_browsers(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Of each browser, the names that it has had for readers, in order."""
    found: dict[str, list[str]] = {}
    for session, reader in db.execute("SELECT session, reader FROM names ORDER BY session, reader"):
        found.setdefault(session, []).append(reader)
    return [tuple(names) for names in found.values()]


def new_keys(db: sqlite3.Connection) -> None:
    """Makes new links. The old ones, and all sessions that came of them, end."""
    for role in ("reader", "lead"):
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"{role}_key", secrets.token_urlsafe(32)))
    db.execute("DELETE FROM leases")
    db.execute("DELETE FROM names")
    db.execute("DELETE FROM sessions")


def _clean(given: str) -> str:
    """The name as it is shown. A comma would join two names in a labels file; `=` would start a formula in Excel."""
    reader = " ".join(trimmed(nfc(given)).split())
    is_seen = reader.isprintable() and not UNSEEN.search(reader)
    if not (0 < len(reader) <= LONGEST_NAME and reader[0].isalnum() and is_seen and "," not in reader):
        raise RefusalError(
            "bad_request",
            f"A name begins with a letter or a digit, has at most {LONGEST_NAME} characters and no comma.",
        )
    return reader


def _known(db: sqlite3.Connection, reader: str) -> str:
    """The spelling under which this reader is in the store already."""
    sql = "SELECT reader FROM answers UNION SELECT reader FROM sessions WHERE reader IS NOT NULL"
    known: dict[str, str] = {known.casefold(): known for (known,) in db.execute(sql)}
    return known.get(reader.casefold(), reader)

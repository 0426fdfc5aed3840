"""What the lead's page asks for: see the table in `app`.

The machine's side of a group, its id and its place in the audit sample stay hidden from the lead, too, until the lead
has answered it: a lead's answer is final, and a label that a verdict suggested says nothing about that verdict.
"""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.routing import Route

from yanshou.missions import Missions
from yanshou.review import progress, screen
from yanshou.review.answers import NewAnswer
from yanshou.review.cookies import Cookie
from yanshou.review.endpoints import Reply, get, post
from yanshou.review.queue import group_to_read
from yanshou.review.reader_api import Answered, Name
from yanshou.review.refusals import RefusalError
from yanshou.review.snapshot import answers_of, read_snapshot
from yanshou.review.store import Store

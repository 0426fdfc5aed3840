"""What a store holds at one moment, read without writing: for the export and for the lead's page.

    with reading(path) as snapshot: …                     one transaction: a running server goes on writing beside it

A store that nobody has open lies in one file, which is read as it is: also on a disk that cannot be written, and
nothing is left beside it. While a server runs, newer answers are in `review.sqlite-wal` beside the store, and SQLite
itself reads both as one.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

"""One SQLite file: groups, photos, leases, sessions, and what people say."""

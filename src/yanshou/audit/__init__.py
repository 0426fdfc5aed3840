"""Audits: a random sample of the released groups, and what people's answers say about all of them."""

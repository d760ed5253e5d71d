"""Recorded requests in the formats of other tools, each entry with the number and hash of its record."""

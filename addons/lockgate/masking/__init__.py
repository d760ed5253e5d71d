"""Taking values out of documents: which paths, and what stands there instead. Pure."""

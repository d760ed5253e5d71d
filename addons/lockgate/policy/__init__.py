"""Rules to decisions: schema, load, compile, authorize. Only `load` opens files."""

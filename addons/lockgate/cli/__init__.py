"""The `lockgate` command: one command a file."""

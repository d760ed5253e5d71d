"""The gateway's own credentials for targets: one kind a file, and where secrets come from."""

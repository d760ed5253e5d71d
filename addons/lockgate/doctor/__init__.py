"""What `lockgate doctor` looks at: one kind of thing a file, each a list of findings with their remedies."""

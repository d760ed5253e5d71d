"""What is kept of every request: the journal of intents, the flow dump, the hash chain."""

"""Tells persons that something waits for them. Decides nothing, and nothing waits for it."""

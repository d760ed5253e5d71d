"""Starting an agent's process behind the gateway: its environment, its token, and the relay that adds the token."""

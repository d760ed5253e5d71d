"""What makes mitmproxy fail closed: the doors, the guard, the option lock, reach and the sentinel."""

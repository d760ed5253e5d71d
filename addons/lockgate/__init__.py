"""Lockgate: a role-based access gateway for AI agents, built as a chain of mitmproxy addons."""

__version__ = "0.1.0"

"""Strict decoding of message bodies: one meaning, or an error. Pure."""

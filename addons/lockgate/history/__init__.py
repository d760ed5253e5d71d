"""Requests of the past, decided again: by the rules that decided them, and by others. Reads, and sends nothing."""

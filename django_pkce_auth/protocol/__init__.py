"""The wire: every message of the flow, both ways. Standard library only; no Django, clock, I/O or settings."""

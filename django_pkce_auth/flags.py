"""Settings that are True or False."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


def flag(where: str, value: object) -> bool:
    """Return the flag; raises ImproperlyConfigured for anything else.

    Text is what an environment variable holds, and "False" would count as true.
    """
    if not isinstance(value, bool):
        raise ImproperlyConfigured(f"{where} is {value!r}; it takes True or False, and text is neither.")
    return value

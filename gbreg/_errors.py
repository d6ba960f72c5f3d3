"""The error that a command line shows as it is."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is not allowed; the text is the whole explanation, in one line."""

"""The training loop with a host simulator (stub)."""

from __future__ import annotations


class Hosted:
    """See below."""

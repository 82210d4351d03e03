"""Adds up a plain-text time ledger."""


class TallyError(Exception):
    """Something the person at the keyboard can put right; the text says what."""

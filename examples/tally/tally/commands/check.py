"""says whether the ledger can be read"""


def arguments(_parser):
    """Takes no arguments of its own."""


def run(entries, _options):
    """Returns one line; a ledger with complaints never gets here."""
    return f"{len(entries)} entries, all readable\n"

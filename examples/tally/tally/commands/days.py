"""time by day"""

from tally import duration, ledger, table


def arguments(_parser):
    """Takes no arguments of its own."""


def run(entries, _options):
    """Returns the table of days."""
    rows = [(day.isoformat(), duration.show(minutes)) for day, minutes in ledger.group(entries, lambda e: e.date)]
    return table.render(("day", "time"), rows)

"""time by project"""

from tally import duration, ledger, table


def arguments(_parser):
    """Takes no arguments of its own."""


def run(entries, _options):
    """Returns the table of projects and their total."""
    rows = [(project, duration.show(minutes)) for project, minutes in ledger.group(entries, lambda e: e.project)]
    if rows:
        rows.append(("total", duration.show(ledger.total(entries))))
    return table.render(("project", "time"), rows)

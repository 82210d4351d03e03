"""what each project owes at a rate"""

from tally import duration, ledger, money, table


def arguments(parser):
    """Takes the price of an hour."""
    parser.add_argument("--rate", required=True, type=money.parse_rate, help="price of an hour, as in 92.50")


def run(entries, options):
    """Returns the table of projects, their time and their price."""
    rows = [
        (project, duration.show(minutes), money.show(money.amount(minutes, options.rate)))
        for project, minutes in ledger.group(entries, lambda e: e.project)
    ]
    return table.render(("project", "time", "amount"), rows)

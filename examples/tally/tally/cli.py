"""The command line: finds the subcommand, reads the ledger, gives the exit code.

0: done. 1: the ledger or an argument is wrong. 2: the command line cannot be understood.
"""

import argparse

from tally import TallyError, commands, ledger


def main(arguments, out, err):
    """Runs `tally` with `arguments`; writes to `out` and `err`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tally", description="Adds up a plain-text time ledger.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    found = commands.find()
    for name, module in found.items():
        sub = subparsers.add_parser(name, help=module.__doc__)
        sub.add_argument("file", help="the ledger")
        module.arguments(sub)
    options = parser.parse_args(arguments)
    try:
        with open(options.file, encoding="utf-8") as file:
            entries, complaints = ledger.read(file)
    except (OSError, UnicodeDecodeError) as error:
        err.write(f"tally: cannot read {options.file}: {error}\n")
        return 1
    for complaint in complaints:
        err.write(f"tally: {options.file}: {complaint}\n")
    if complaints:
        return 1
    try:
        out.write(found[options.command].run(entries, options))
    except TallyError as error:
        err.write(f"tally: {error}\n")
        return 1
    return 0

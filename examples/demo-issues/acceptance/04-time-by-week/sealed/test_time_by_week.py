"""Sealed: `tally weeks` adds up whole weeks, whichever day they begin on."""

import io
import os
import tempfile
import unittest

from tally.cli import main

# Tuesday and Thursday of one week, Wednesday of the next, and one in another year.
LEDGER = "2026-03-03 45m acme\n2026-03-05 1h acme\n2026-03-11 2h house\n2027-01-06 5m acme\n"


class TimeByWeek(unittest.TestCase):
    def test_one_line_a_week(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "march.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write(LEDGER)
            out = io.StringIO()
            self.assertEqual(main(["weeks", path], out, io.StringIO()), 0)
        lines = [line.split() for line in out.getvalue().splitlines()[1:]]
        self.assertEqual([line[1] for line in lines], ["1h45m", "2h", "5m"])
        self.assertIn(lines[0][0], ("2026-03-01", "2026-03-02"))

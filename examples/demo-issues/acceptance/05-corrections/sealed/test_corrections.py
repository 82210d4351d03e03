"""Sealed: a line with a minus lowers the sums."""

import unittest

from tally import ledger


class Corrections(unittest.TestCase):
    def test_the_sum_of_a_project(self):
        entries, complaints = ledger.read(
            ["2026-03-05 2h acme", "2026-03-05 -30m acme lunch was in there", "2026-03-05 1h house"]
        )
        self.assertEqual(complaints, [])
        self.assertEqual(ledger.group(entries, lambda e: e.project), [("acme", 90), ("house", 60)])

    def test_with_hours(self):
        self.assertEqual(ledger.parse_line("2026-03-05 -1h15m acme").minutes, -75)

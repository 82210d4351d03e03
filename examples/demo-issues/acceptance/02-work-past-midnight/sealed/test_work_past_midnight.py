"""Sealed: an end before its start is on the next day."""

import unittest

from tally import clock, ledger


class WorkPastMidnight(unittest.TestCase):
    def test_spans(self):
        for start, end, minutes in [("22:30", "01:15", 165), ("23:59", "00:00", 1), ("12:00", "11:59", 1439)]:
            with self.subTest(start=start, end=end):
                self.assertEqual(clock.span(start, end), minutes)

    def test_the_same_time_is_no_time(self):
        self.assertEqual(clock.span("09:00", "09:00"), 0)

    def test_spans_within_a_day_stay(self):
        self.assertEqual(clock.span("09:30", "12:00"), 150)

    def test_a_line_of_the_ledger(self):
        self.assertEqual(ledger.parse_line("2026-03-02 22:30-01:15 acme deployment").minutes, 165)

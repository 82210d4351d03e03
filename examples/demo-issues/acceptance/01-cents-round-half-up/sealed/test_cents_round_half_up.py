"""Sealed: amounts are exact, and half a cent goes up."""

import unittest

from tally import money


class CentsRoundHalfUp(unittest.TestCase):
    def test_known_halves(self):
        for minutes, rate, expected in [
            (3, "92.50", "4.63"),
            (9, "11.50", "1.73"),
            (10, "100.35", "16.73"),
            (15, "10.02", "2.51"),
        ]:
            with self.subTest(minutes=minutes, rate=rate):
                self.assertEqual(money.show(money.amount(minutes, money.parse_rate(rate))), expected)

    def test_other_amounts_stay(self):
        self.assertEqual(money.show(money.amount(1, money.parse_rate("92.50"))), "1.54")
        self.assertEqual(money.show(money.amount(45, money.parse_rate("80"))), "60.00")

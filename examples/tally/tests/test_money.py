"""What time costs."""

import unittest

from tally import money


class Amount(unittest.TestCase):
    def test_whole_hours(self):
        self.assertEqual(money.show(money.amount(120, money.parse_rate("92.50"))), "185.00")

    def test_part_of_an_hour(self):
        self.assertEqual(money.show(money.amount(45, money.parse_rate("80"))), "60.00")

    def test_nothing(self):
        self.assertEqual(money.show(money.amount(0, money.parse_rate("80"))), "0.00")

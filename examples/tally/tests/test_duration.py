"""Durations as text."""

import unittest

from tally import TallyError, duration


class Parse(unittest.TestCase):
    def test_minutes(self):
        self.assertEqual(duration.parse("45m"), 45)

    def test_hours(self):
        self.assertEqual(duration.parse("2h"), 120)

    def test_hours_and_minutes(self):
        self.assertEqual(duration.parse("1h30m"), 90)

    def test_fraction_of_an_hour(self):
        self.assertEqual(duration.parse("1.5h"), 90)

    def test_fraction_with_minutes_is_refused(self):
        with self.assertRaisesRegex(TallyError, "mixes"):
            duration.parse("1.5h10m")

    def test_negative_is_refused(self):
        with self.assertRaisesRegex(TallyError, "not a duration"):
            duration.parse("-30m")

    def test_nothing_is_refused(self):
        with self.assertRaisesRegex(TallyError, "not a duration"):
            duration.parse("")

    def test_other_words_are_refused(self):
        for text in ["long", "1d", "h", "30", "1h30", "1h 30m"]:
            with self.subTest(text), self.assertRaises(TallyError):
                duration.parse(text)


class Show(unittest.TestCase):
    def test_reads_back(self):
        for minutes in [1, 59, 60, 61, 90, 600, 1441]:
            with self.subTest(minutes):
                self.assertEqual(duration.parse(duration.show(minutes)), minutes)

    def test_zero(self):
        self.assertEqual(duration.show(0), "0m")

    def test_minutes_are_two_digits_after_hours(self):
        self.assertEqual(duration.show(65), "1h05m")

    def test_below_zero(self):
        self.assertEqual(duration.show(-90), "-1h30m")

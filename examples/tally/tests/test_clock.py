"""Spans of the clock."""

import unittest

from tally import TallyError, clock


class MinuteOfDay(unittest.TestCase):
    def test_midnight_and_the_last_minute(self):
        self.assertEqual(clock.minute_of_day("00:00"), 0)
        self.assertEqual(clock.minute_of_day("23:59"), 1439)

    def test_one_digit_hour(self):
        self.assertEqual(clock.minute_of_day("9:05"), 545)

    def test_past_the_end_is_refused(self):
        for text in ["24:00", "12:60"]:
            with self.subTest(text), self.assertRaisesRegex(TallyError, "past the end"):
                clock.minute_of_day(text)

    def test_not_a_time_is_refused(self):
        for text in ["", "9", "9:5", "nine"]:
            with self.subTest(text), self.assertRaisesRegex(TallyError, "not a time"):
                clock.minute_of_day(text)


class Span(unittest.TestCase):
    def test_within_an_hour(self):
        self.assertEqual(clock.span("09:10", "09:45"), 35)

    def test_over_hours(self):
        self.assertEqual(clock.span("09:30", "12:00"), 150)

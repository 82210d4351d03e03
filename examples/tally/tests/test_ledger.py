"""The ledger."""

import datetime
import unittest

from tally import TallyError, ledger


class ParseLine(unittest.TestCase):
    def test_with_a_span(self):
        entry = ledger.parse_line("2026-03-02 09:00-10:30 acme design review")
        self.assertEqual(entry, (datetime.date(2026, 3, 2), 90, "acme", "design review"))

    def test_with_a_duration(self):
        self.assertEqual(ledger.parse_line("2026-03-02 1h15m house books").minutes, 75)

    def test_without_a_note(self):
        self.assertEqual(ledger.parse_line("2026-03-02 45m acme").note, "")

    def test_too_few_fields(self):
        with self.assertRaisesRegex(TallyError, "a date, a time and a project"):
            ledger.parse_line("2026-03-02 45m")

    def test_bad_date(self):
        with self.assertRaisesRegex(TallyError, "2026-02-30"):
            ledger.parse_line("2026-02-30 45m acme")

    def test_span_without_an_end(self):
        with self.assertRaisesRegex(TallyError, "has no end"):
            ledger.parse_line("2026-03-02 09:00 acme")


class Read(unittest.TestCase):
    def test_skips_blanks_and_comments(self):
        entries, complaints = ledger.read(["# march", "", "  ", "2026-03-02 45m acme"])
        self.assertEqual((len(entries), complaints), (1, []))

    def test_complains_with_the_line_number_and_goes_on(self):
        entries, complaints = ledger.read(["nonsense", "2026-03-02 45m acme", "2026-03-02 soon acme"])
        self.assertEqual(len(entries), 1)
        self.assertEqual([c.split(":")[0] for c in complaints], ["line 1", "line 3"])


class Sums(unittest.TestCase):
    ENTRIES, _ = ledger.read(["2026-03-03 45m acme", "2026-03-02 1h house", "2026-03-02 15m acme"])

    def test_total(self):
        self.assertEqual(ledger.total(self.ENTRIES), 120)

    def test_group_is_in_order(self):
        self.assertEqual(ledger.group(self.ENTRIES, lambda e: e.project), [("acme", 60), ("house", 60)])

"""Tables of text."""

import unittest

from tally import table


class Render(unittest.TestCase):
    def test_first_left_others_right(self):
        text = table.render(("project", "time"), [("acme", "2h15m"), ("a", "5m")])
        self.assertEqual(text, "project   time\nacme     2h15m\na           5m\n")

    def test_header_wider_than_the_cells(self):
        self.assertEqual(table.render(("day", "minutes"), [("mo", "5")]), "day  minutes\nmo         5\n")

    def test_no_blanks_at_line_ends(self):
        text = table.render(("a",), [("long",), ("b",)])
        self.assertEqual([line.rstrip() for line in text.splitlines()], text.splitlines())

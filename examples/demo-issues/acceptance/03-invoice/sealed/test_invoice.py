"""Sealed: `tally invoice` prints what adds up."""

import io
import os
import tempfile
import unittest

from tally.cli import main

LEDGER = "2026-03-02 3m acme\n2026-03-02 09:00-11:00 house\n"


def tally(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "march.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(LEDGER)
        out, err = io.StringIO(), io.StringIO()
        code = main([arguments[0], path, *arguments[1:]], out, err)
        return code, out.getvalue(), err.getvalue()


class Invoice(unittest.TestCase):
    def test_net_tax_and_total(self):
        code, out, _ = tally("invoice", "--project", "acme", "--rate", "92.50", "--tax", "8.1")
        last = [line.split()[-1] for line in out.splitlines()[-4:]]
        self.assertEqual((code, last), (0, ["3m", "4.63", "0.38", "5.01"]))

    def test_without_tax(self):
        code, out, _ = tally("invoice", "--project", "house", "--rate", "80")
        self.assertEqual((code, out.split()[-1]), (0, "160.00"))

    def test_an_unknown_project_is_named(self):
        code, out, err = tally("invoice", "--project", "nobody", "--rate", "80")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("nobody", err)

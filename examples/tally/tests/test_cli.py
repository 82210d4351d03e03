"""The command line, from the arguments to the exit code."""

import contextlib
import io
import os
import tempfile
import unittest

from tally.cli import main

MARCH = """\
# march
2026-03-02 09:00-10:30 acme design review
2026-03-02 1h15m house bookkeeping
2026-03-03 45m acme call
"""


class Cli(unittest.TestCase):
    def tally(self, ledger, *arguments):
        """Runs the command on a ledger of this text; returns (exit code, output, errors)."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "march.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write(ledger)
            out, err = io.StringIO(), io.StringIO()
            code = main([arguments[0], path, *arguments[1:]], out, err)
            return code, out.getvalue(), err.getvalue()

    def test_summary(self):
        code, out, _ = self.tally(MARCH, "summary")
        self.assertEqual((code, out.split()[-6:]), (0, ["acme", "2h15m", "house", "1h15m", "total", "3h30m"]))

    def test_days(self):
        code, out, _ = self.tally(MARCH, "days")
        self.assertEqual((code, out.split()[2:]), (0, ["2026-03-02", "2h45m", "2026-03-03", "45m"]))

    def test_bill(self):
        code, out, _ = self.tally(MARCH, "bill", "--rate", "80")
        self.assertEqual((code, out.split()[3:]), (0, ["acme", "2h15m", "180.00", "house", "1h15m", "100.00"]))

    def test_check(self):
        self.assertEqual(self.tally(MARCH, "check")[:2], (0, "3 entries, all readable\n"))

    def test_a_bad_line_is_named(self):
        code, out, err = self.tally("2026-03-02 soon acme\n", "summary")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("line 1: 'soon' is not a duration", err)

    def test_a_missing_file_is_named(self):
        err = io.StringIO()
        self.assertEqual(main(["summary", os.devnull + "/none"], io.StringIO(), err), 1)
        self.assertIn("cannot read", err.getvalue())

    def test_an_unknown_command_is_refused(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as exit:
            main(["nonsense", "march.txt"], io.StringIO(), io.StringIO())
        self.assertEqual(exit.exception.code, 2)

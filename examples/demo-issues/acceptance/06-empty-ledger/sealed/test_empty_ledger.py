"""Sealed: a ledger without entries gives tables without rows."""

import io
import os
import tempfile
import unittest

from tally.cli import main


class EmptyLedger(unittest.TestCase):
    def test_every_table_is_its_header(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "march.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write("# march\n")
            for command, header in [
                (["summary", path], "project  time"),
                (["days", path], "day  time"),
                (["bill", path, "--rate", "80"], "project  time  amount"),
            ]:
                with self.subTest(command[0]):
                    out, err = io.StringIO(), io.StringIO()
                    self.assertEqual(main(command, out, err), 0)
                    self.assertEqual(out.getvalue().rstrip("\n"), header)

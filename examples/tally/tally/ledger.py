"""The ledger: lines of text in, entries out."""

import datetime
from collections import namedtuple

from tally import TallyError, clock, duration

Entry = namedtuple("Entry", "date minutes project note")


def parse_line(text):
    """Reads one line: date, span or duration, project, note."""
    fields = text.split(None, 3)
    if len(fields) < 3:
        raise TallyError("expected a date, a time and a project")
    date, time, project = fields[:3]
    note = fields[3] if len(fields) > 3 else ""
    return Entry(parse_date(date), parse_time(time), project, note)


def parse_date(text):
    """Reads a date as in 2026-03-02."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise TallyError(f"{text!r} is not a date; write it like 2026-03-02") from None


def parse_time(text):
    """Reads a span (`09:00-10:30`) or a duration (`1h30m`) as minutes."""
    if ":" in text:
        start, dash, end = text.partition("-")
        if not dash:
            raise TallyError(f"{text!r} has no end; write it like 09:00-10:30")
        return clock.span(start, end)
    return duration.parse(text)


def read(lines):
    """Returns the entries of `lines`, and the complaints about those that cannot be read."""
    entries, complaints = [], []
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            entries.append(parse_line(line))
        except TallyError as error:
            complaints.append(f"line {number}: {error}")
    return entries, complaints


def total(entries):
    """Adds up the minutes."""
    return sum(entry.minutes for entry in entries)


def group(entries, key):
    """Returns (key, minutes) pairs in the order of the keys."""
    sums = {}
    for entry in entries:
        sums[key(entry)] = sums.get(key(entry), 0) + entry.minutes
    return sorted(sums.items())

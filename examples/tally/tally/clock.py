"""Spans of the clock: `09:00-10:30`."""

import re

from tally import TallyError

_TIME = re.compile(r"(\d{1,2}):(\d{2})")


def minute_of_day(text):
    """Returns how many minutes after midnight `text` (HH:MM) is."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise TallyError(f"{text!r} is not a time of day; write it like 09:30")
    hour, minute = int(match[1]), int(match[2])
    if hour > 23 or minute > 59:
        raise TallyError(f"{text!r} is past the end of the day or of the hour")
    return hour * 60 + minute


def span(start, end):
    """Returns the minutes from `start` to `end`."""
    return minute_of_day(end) - minute_of_day(start)

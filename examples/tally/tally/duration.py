"""Durations as text: `1h30m`, `45m`, `1.5h`. Whole minutes inside."""

import re

from tally import TallyError

_PATTERN = re.compile(r"(?:(?P<hours>\d+(?:\.\d+)?)h)?(?:(?P<minutes>\d+)m)?")


def parse(text):
    """Returns the minutes that `text` stands for."""
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise TallyError(f"{text!r} is not a duration; write it like 1h30m, 45m or 1.5h")
    hours, minutes = match["hours"], match["minutes"]
    if minutes and hours and "." in hours:
        raise TallyError(f"{text!r} mixes a fraction of an hour with minutes; write 1h30m or 1.5h")
    return round(float(hours or 0) * 60) + int(minutes or 0)


def show(minutes):
    """Writes minutes the way `parse` reads them."""
    sign = "-" if minutes < 0 else ""
    hours, rest = divmod(abs(minutes), 60)
    if hours and rest:
        return f"{sign}{hours}h{rest:02}m"
    return f"{sign}{hours}h" if hours else f"{sign}{rest}m"

"""What time costs."""


def parse_rate(text):
    """Returns the price of an hour, as written on the command line."""
    return float(text)


def amount(minutes, rate):
    """Returns the price of `minutes` at `rate` an hour."""
    return round(minutes / 60 * rate, 2)


def show(value):
    """Writes an amount with its two decimals."""
    return f"{value:.2f}"

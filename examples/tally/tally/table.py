"""Tables of text: the first column to the left, the others to the right."""


def render(header, rows):
    """Returns the table as text, one line a row, no line ends in blanks."""
    columns = list(zip(*rows))
    widths = [max(len(title), max(map(len, columns[i]))) for i, title in enumerate(header)]
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"

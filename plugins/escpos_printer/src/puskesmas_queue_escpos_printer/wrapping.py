"""Lines of a fixed number of columns, broken between words."""

HYPHEN = "-"


def longest_word(text: str) -> int:
    """Return how many columns the longest word takes."""
    return max(map(len, text.split()), default=0)


def wrap(text: str, columns: int) -> list[str]:
    """
    Break a text into lines between words; only a word longer than a line is broken, by a hyphen.

    The last piece of such a word has two letters or more. Lines of the text stay lines, and the
    pieces of one are about equally long.
    """
    if columns < 2:
        raise ValueError("a line has two columns at least")
    return [line for part in text.splitlines() for line in _balanced(part, columns)]


def row(label: str, value: str, columns: int) -> list[str]:
    """
    Set a label to the left and its value to the right.

    Both stand on one line where they have room, else the value below, to the right.
    """
    if not label:
        return [line.rjust(columns) for line in wrap(value, columns)]
    if len(label) + 1 + len(value) <= columns:
        return [label + value.rjust(columns - len(label))]
    values = [line.rjust(columns) for line in wrap(value, columns)]
    return [*wrap(label, columns), *values]


def _balanced(text: str, columns: int) -> list[str]:
    """Take the narrowest lines of which there are no more than of full ones."""
    lines = _wrap_line(text, columns)
    for narrower in range(columns - 1, max(1, longest_word(text) - 1), -1):
        tried = _wrap_line(text, narrower)
        if len(tried) > len(lines):
            break
        lines = tried
    return lines


def _wrap_line(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if len(joined) <= columns:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, columns)
        lines += whole
    return [*lines, line] if line else lines


def _pieces(word: str, columns: int) -> list[str]:
    """Cut a word that is longer than a line; at a hyphen of its own where it has one."""
    pieces = []
    while len(word) > columns:
        own = word.rfind(HYPHEN, 1, columns) + 1
        if own > 1 and len(word) - own > 1:
            pieces.append(word[:own])
            word = word[own:]
            continue
        # The rest has two letters at least.
        end = min(columns - 1, len(word) - 2)
        pieces.append(word[:end] + HYPHEN)
        word = word[end:]
    return [*pieces, word]

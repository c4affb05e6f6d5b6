"""Numbers, digits and letters as people say them, in Indonesian and English."""

LARGEST = 999_999_999
"""What is longer than that is read digit by digit."""

_DIGITS = {
    "id": ("nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_TEENS_EN = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS_EN = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LETTERS = {
    "id": "a be ce de e ef ge ha i je ka el em en o pe ki er es te u ve we eks ye zet",
    "en": "ay bee see dee ee ef jee aitch eye jay kay el em en oh pee cue ar ess tee you vee "
    "double-you ex why zed",
}
_NAMES = {
    language: dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", names.split(), strict=True))
    for language, names in _LETTERS.items()
}


def say_number(number: int, language: str) -> str:
    """
    Read a whole number as one.

    Args:
        number: 0 to `LARGEST`.
        language: `id` or `en`.

    >>> say_number(1111, "id")
    'seribu seratus sebelas'
    >>> say_number(1111, "en")
    'one thousand one hundred eleven'
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{number} is not 0 to {LARGEST}")
    if number == 0:
        return _DIGITS[language][0]
    return " ".join(_english(number) if language == "en" else _indonesian(number))


def say_digits(digits: str, language: str) -> str:
    """
    Read digits one by one, as a telephone number is read.

    >>> say_digits("0812", "id")
    'nol delapan satu dua'
    """
    words = _DIGITS[language]
    return " ".join(words[int(digit)] for digit in digits)


def letter_name(letter: str, language: str) -> str:
    """
    Return what a letter is called.

    Args:
        letter: A to Z.
        language: `id` or `en`.
    """
    return _NAMES[language][letter]


def _indonesian(number: int) -> list[str]:
    if number == 0:
        return []
    if number < 10:
        return [_DIGITS["id"][number]]
    if number < 20:
        return ["sepuluh", "sebelas"][number - 10 : number - 9] or [
            _DIGITS["id"][number - 10],
            "belas",
        ]
    for size, name in ((1_000_000, "juta"), (1000, "ribu"), (100, "ratus"), (10, "puluh")):
        if number >= size:
            many, rest = divmod(number, size)
            # One hundred and one thousand are "seratus" and "seribu", one million is "satu juta".
            head = [f"se{name}"] if many == 1 and size <= 1000 else [*_indonesian(many), name]
            return [*head, *_indonesian(rest)]
    raise AssertionError(number)


def _english(number: int) -> list[str]:
    if number == 0:
        return []
    if number < 10:
        return [_DIGITS["en"][number]]
    if number < 20:
        return [_TEENS_EN[number - 10]]
    if number < 100:
        tens, ones = divmod(number, 10)
        return [_TENS_EN[tens - 2] + (f"-{_DIGITS['en'][ones]}" if ones else "")]
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            many, rest = divmod(number, size)
            return [*_english(many), name, *_english(rest)]
    raise AssertionError(number)

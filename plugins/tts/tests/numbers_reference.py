"""
Numbers in words, built in another way than the plugin builds them.

Places are written one by one into a row of words, Indonesian from its spelling rule "satu becomes
se-", English from the row of all numbers below a hundred; no arithmetic is shared with the plugin.
"""

ONES_ID = ("satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan")
BELOW_20_EN = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS_EN = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
BELOW_100_EN = [*BELOW_20_EN] + [
    ten if one is None else f"{ten}-{one}" for ten in TENS_EN for one in (None, *BELOW_20_EN[:9])
]


def indonesian(number: int) -> str:
    """Return 0 to 9999 in Indonesian, from its four written digits."""
    if number == 0:
        return "nol"
    places = ("ribu", "ratus", "puluh", "")
    words = []
    for digit, place in zip(f"{number:04d}", places, strict=True):
        if digit != "0":
            words.append(f"{ONES_ID[int(digit) - 1]} {place}".strip())
    said = " ".join(words)
    for place in places[:3]:
        said = said.replace(f"satu {place}", f"se{place}")
    # Eleven to nineteen have the ones first.
    for one in ONES_ID:
        said = said.replace(f"sepuluh {one}", f"{one} belas")
    return said.replace("satu belas", "sebelas")


def english(number: int) -> str:
    """Return 0 to 9999 in English, from its four written digits."""
    if number == 0:
        return "zero"
    digits = f"{number:04d}"
    words = []
    for digit, place in ((digits[0], "thousand"), (digits[1], "hundred")):
        if digit != "0":
            words += [BELOW_20_EN[int(digit) - 1], place]
    if digits[2:] != "00":
        words.append(BELOW_100_EN[int(digits[2:]) - 1])
    return " ".join(words)

"""Words about a basket."""

from basket.pricing import subtotal


def money(cents):
    """'12.34' for 1234."""
    sign = "-" if cents < 0 else ""
    cents = abs(cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def slug(name):
    """The name in lower case with a dash for every run of other characters."""
    words = []
    word = ""
    for char in name.lower():
        if char.isalnum():
            word += char
        elif word:
            words.append(word)
            word = ""
    if word:
        words.append(word)
    return "-".join(words)


def plural(count, word):
    """'1 apple', '2 apples'."""
    if count == 1:
        return f"{count} {word}"
    return f"{count} {word}s"


def receipt(basket):
    """A line for each item and one for the sum."""
    lines = []
    for item, count in basket:
        lines.append(f"{plural(count, item.name)} {money(item.price * count)}")
    lines.append(f"total {money(subtotal(basket))}")
    return "\n".join(lines)

"""Prices of a basket, in cents."""


def subtotal(basket):
    """The sum of price times count."""
    result = 0
    for item, count in basket:
        result += item.price * count
    return result


def discounted(amount, percent):
    """The amount less so many percent, rounded down; percent is held between 0 and 100."""
    if percent < 0:
        percent = 0
    if percent > 100:
        percent = 100
    return amount * (100 - percent) // 100


def vat(amount, rate=20):
    """The value added tax on an amount, rounded down."""
    if rate < 0:
        raise ValueError("rate must not be negative")
    return amount * rate // 100


def shipping(weight):
    """Free up to 1 kg, then 500 cents, and 1000 cents from 10 kg."""
    if weight <= 1:
        return 0
    if weight < 10:
        return 500
    return 1000


def total(basket, percent=0):
    """What is to be paid: the discounted subtotal, its tax and the shipping."""
    amount = discounted(subtotal(basket), percent)
    return amount + vat(amount) + shipping(basket.weight())


def cheapest(items):
    """The item of the lowest price, None where there is none."""
    best = None
    for item in items:
        if best is None or item.price < best.price:
            best = item
    return best

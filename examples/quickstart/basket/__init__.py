"""A shop's basket."""

from basket.items import Basket, Item
from basket.pricing import discounted, subtotal, total, vat
from basket.text import money, receipt, slug

__all__ = ["Basket", "Item", "discounted", "money", "receipt", "slug", "subtotal", "total", "vat"]

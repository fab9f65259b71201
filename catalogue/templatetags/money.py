"""Prices as people read them."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django.utils.formats import number_format

register = template.Library()

#: By code of ISO 4217. Other currencies are named by their code, after the amount.
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "ILS": "₪", "UAH": "₴", "VND": "₫"}

#: Currencies that have no smaller unit in use.
WHOLE = {"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"}


@register.filter
def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency: €1,049.00, ¥4,900, 49.00 CHF."""
    whole = currency in WHOLE and amount == amount.to_integral_value()
    number = number_format(amount, decimal_pos=0 if whole else 2, force_grouping=True)
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number}\N{NO-BREAK SPACE}{currency}"


@register.filter
def plain_number(amount: Decimal | None) -> str:
    """An amount as one would type it into a field: 49.50, 49; nothing for none."""
    return "" if amount is None else f"{amount:.2f}".removesuffix(".00")

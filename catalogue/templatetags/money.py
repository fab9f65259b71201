"""Filters that format prices."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django.utils.formats import number_format

register = template.Library()

#: By ISO 4217 code. Other currencies show their code after the amount.
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "ILS": "₪", "UAH": "₴", "VND": "₫"}

#: Currencies without a smaller unit.
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
    """An amount for a form field: 49.50, 49; "" for None."""
    return "" if amount is None else f"{amount:.2f}".removesuffix(".00")

"""Apps of others, by names that the admin can show."""

from __future__ import annotations

from axes.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SignIns(AppConfig):
    """django-axes, whose table holds guesses of passwords."""

    verbose_name = _("Sign-in")

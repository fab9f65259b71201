"""A second factor for staff: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost.

django-otp keeps both and slows down whoever guesses them. Name, password and code are asked for together, and a wrong
one of them gets the same answer: guessing never tells that a password was right.
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections.abc import Callable
from typing import Any, cast

import django_otp
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from visualsearch import guesses
from visualsearch.security import in_admin

RECOVERY_CODES = 10
"""Made at a time; each is good for one sign-in."""

LONGEST_CODE = 16
"""Letters: the width of django-otp's column."""

LONGEST_PASSWORD = 1_024
"""Characters. Hashing takes longer for longer ones, and anyone may send them."""

NAME = "default"
"""What devices are called: each account has one of each kind."""

OPEN = {"second-factor", "admin:login", "admin:logout", "admin:jsi18n"}
"""Views of the admin that staff may use who still have to set up their second factor."""


class MaximumLengthValidator:
    """No new password is longer than what the page to sign in takes."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > LONGEST_PASSWORD:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return _("Your password can have at most %(limit)d characters.") % {"limit": LONGEST_PASSWORD}


class CodeField(forms.CharField):
    """A code as people type it: with spaces, in either case. Cleaned it is digits, or a recovery code's letters."""

    def __init__(self, **options: Any) -> None:
        attributes = {"autocomplete": "one-time-code", "class": " ".join(BASE_INPUT_CLASSES)}
        super().__init__(
            label=gettext_lazy("Code"),
            max_length=2 * LONGEST_CODE,
            widget=forms.TextInput(attrs=attributes),
            **options,
        )

    def clean(self, value: Any) -> str:
        return "".join(super().clean(value).split()).lower()


class SignInForm(AuthenticationForm):
    """Name and password, and a code where the account has a second factor."""

    code = CodeField(
        required=False,
        help_text=gettext_lazy(
            "From your authenticator app, or a recovery code. Leave it empty if you have not set this up."
        ),
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name, limit in (("username", self.fields["username"].max_length), ("password", LONGEST_PASSWORD)):
            self.fields[name].validators.append(MaxLengthValidator(limit))
        if not (settings.ADMIN_REQUIRE_OTP or TOTPDevice.objects.filter(confirmed=True).exists()):
            del self.fields["code"]
        else:
            sentence = _("Enter the correct username, password and, if you have set one up, code.")
            self.error_messages = {**AuthenticationForm.error_messages, "invalid_login": sentence}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        if user is not None and is_enrolled(user):
            user.otp_device = verify(user, cleaned.get("code", ""))
            if user.otp_device is None:
                raise self.get_invalid_login_error()
        return cleaned


def is_enrolled(user: User) -> bool:
    """Whether the account signs in with a code."""
    return bool(TOTPDevice.objects.devices_for_user(user, confirmed=True).exists())


def verify(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """The device whose code this is, which uses it up; None for a wrong code, and soon after wrong ones."""
    if not code or len(code) > LONGEST_CODE:
        return None
    # Each is asked for codes of its own form alone: it counts wrong ones, and would refuse good ones after them.
    model = TOTPDevice if code.isdecimal() else StaticDevice
    with transaction.atomic():
        device = model.objects.devices_for_user(user, confirmed=True).select_for_update().first()
        return device if device is not None and device.verify_token(code) else None


def remove(user: User) -> None:
    """Take an account's second factor and its recovery codes away."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


def new_recovery_codes(user: User) -> list[str]:
    """Codes in the place of those that there were."""
    with transaction.atomic():
        device, _created = StaticDevice.objects.get_or_create(user=user, defaults={"name": NAME})
        device.token_set.all().delete()
        codes = [StaticToken.random_token() for _number in range(RECOVERY_CODES)]
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


class SecondFactor:
    """Middleware: in the admin, a session without a code ends once its account has a second factor. With
    `ADMIN_REQUIRE_OTP`, staff without one may do nothing but set it up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *arguments: Any) -> HttpResponse | None:
        here = in_admin(request.path_info)
        if not (here or settings.ADMIN_REQUIRE_OTP):
            return None
        if not request.user.is_staff or request.user.is_verified():  # type: ignore[attr-defined]
            return None
        if not here:
            request.user = AnonymousUser()  # as one who has not signed in: photos of hidden products are not shown
            return None
        match = request.resolver_match
        if match and match.view_name in OPEN:
            return None
        if is_enrolled(request.user):
            # This session is older than the second factor.
            logout(request)
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return redirect("second-factor") if settings.ADMIN_REQUIRE_OTP else None


class CodeForm(forms.Form):
    """One code."""

    code = CodeField()


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Where staff set up their second factor, get new recovery codes, and turn it off. Each step takes a code."""
    user = cast(User, request.user)
    enrolled = is_enrolled(user)
    device = None if enrolled else _unconfirmed(user)
    form = CodeForm(request.POST if request.method == "POST" else None)
    codes: list[str] = []
    if request.method == "POST" and form.is_valid():
        client = guesses.address(request)
        if not guesses.take(client, user.get_username()):
            return guesses.locked_out(request, user.get_username())
        code = form.cleaned_data["code"]
        if device is not None:
            with transaction.atomic():
                verified = TOTPDevice.objects.select_for_update().get(pk=device.pk).verify_token(code)
        else:
            verified = verify(user, code) is not None
        if not verified:
            form.add_error("code", _("This code is wrong or has been used. Wait for the next one and enter that."))
        elif device is not None:
            TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
            django_otp.login(request, device)
            codes = new_recovery_codes(user)
        elif "off" in request.POST and not settings.ADMIN_REQUIRE_OTP:
            remove(user)
            messages.success(request, _("Your second factor is turned off."))
        else:
            codes = new_recovery_codes(user)
        if verified:
            guesses.give_back(client, user.get_username())
            if not codes:
                return redirect("second-factor")
    context = admin.site.each_context(request) | {
        "title": _("Second factor"),
        "form": form,
        "codes": codes,
        "enrolled": enrolled,
        "required": settings.ADMIN_REQUIRE_OTP,
        "left": StaticToken.objects.filter(device__user=user).count(),
    }
    if device is not None:
        context |= {"secret": _secret(device), "qr_code": _qr_code(device)}
    return render(request, "admin/second_factor.html", context)


def _unconfirmed(user: User) -> TOTPDevice:
    """The device that this account is about to set up: its secret stays the same until that is done."""
    waiting = TOTPDevice.objects.devices_for_user(user, confirmed=False)
    device: TOTPDevice | None = waiting.order_by("pk").first()
    return device or TOTPDevice.objects.create(user=user, name=NAME, confirmed=False)


def _secret(device: TOTPDevice) -> str:
    """As apps take it where no picture can be scanned: base32, in groups of four."""
    letters = b32encode(device.bin_key).decode()
    return " ".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def _qr_code(device: TOTPDevice) -> str:
    """The QR code as a `data:` address of an SVG."""
    import qrcode
    from qrcode.image.svg import SvgFillImage

    image = qrcode.make(device.config_url, image_factory=SvgFillImage)
    return "data:image/svg+xml;base64," + b64encode(image.to_string()).decode()

"""Sessions with a second factor."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice


def with_code(client: Client) -> None:
    """Let a client that is signed in have signed in with a code."""
    session = client.session
    device = TOTPDevice.objects.create(user=User.objects.get(pk=session["_auth_user_id"]), name="default")
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.save()

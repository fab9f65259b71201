"""Clients of staff with roles, and their requests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

PRODUCTS = reverse("admin:catalogue_product_changelist")
IMPORT = reverse("admin:catalogue_product_import")
PROCESS = reverse("admin:catalogue_product_process_import")
EXPORT = reverse("admin:catalogue_product_export")
INDEX = reverse("admin:index")

EDITOR, OPERATOR, VIEWER = "Catalogue editor", "Index operator", "Viewer"


def member(*roles: str, permissions: tuple[str, ...] = ()) -> Client:
    """A logged-in staff user with these roles and permissions."""
    user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def file(data: bytes | str, name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data.encode() if isinstance(data, str) else data)


def page(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()

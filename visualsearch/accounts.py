"""Users and groups in the admin's theme. `visualsearch.urls` imports this, once all apps have registered theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedFieldListFilter
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister([User, Group])

#: The roles that come with the site (`search/migrations`), whose names are stored in English.
ROLES = (gettext_noop("Catalogue editor"), gettext_noop("Index operator"), gettext_noop("Viewer"))

#: What Django's own permissions allow; their names are stored in English.
ACTIONS = {
    "add": gettext_noop("add"),
    "change": gettext_noop("change"),
    "delete": gettext_noop("delete"),
    "view": gettext_noop("view"),
}


def role_label(group: Group) -> str:
    return gettext(group.name) if group.name in ROLES else group.name


def permission_label(permission: Permission) -> str:
    """A permission in the reader's language: of what, and which."""
    action, _underscore, _model = permission.codename.partition("_")
    name = gettext(ACTIONS[action]) if action in ACTIONS else permission.name
    return f"{permission.content_type} | {name}"


class TranslatedChoices:
    """For an admin with a choice of groups or permissions."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.name in {"permissions", "user_permissions"}:
            field.label_from_instance = permission_label
        elif db_field.name == "groups":
            field.label_from_instance = role_label
        return field


class RoleFilter(RelatedFieldListFilter):
    """Users by their groups, named in the reader's language."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(group.pk, role_label(group)) for group in Group.objects.order_by("name")]


@admin.register(User)
class UserAdmin(TranslatedChoices, BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", ("groups", RoleFilter))
    list_filter_submit = True


@admin.register(Group)
class GroupAdmin(TranslatedChoices, BaseGroupAdmin, ModelAdmin):
    """Groups are roles; three come with the site."""

    list_display = ("role",)

    @admin.display(description=_("name"), ordering="name")
    def role(self, group: Group) -> str:
        return role_label(group)

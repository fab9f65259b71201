"""Staff's accounts in the admin.

`visualsearch.urls` imports this, once all apps have registered their parts of the admin.
"""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin import RelatedFieldListFilter
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from visualsearch import guesses, second_factor

admin.site.unregister([User, Group, TOTPDevice, StaticDevice])

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


#: Tables of libraries that no page of the admin shows, so that a permission for them would allow nothing.
WITHOUT_PAGES = Q(content_type__app_label__in=("otp_static", "otp_totp")) | (
    Q(content_type__app_label="axes") & ~Q(content_type__model="accessattempt")
)


class TranslatedChoices:
    """For an admin with a choice of groups or permissions."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.name in {"permissions", "user_permissions"}:
            field.queryset = field.queryset.exclude(WITHOUT_PAGES)
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
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "has_second_factor", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", ("groups", RoleFilter))
    list_filter_submit = True
    actions = ("remove_second_factor",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        device = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(second_factor=Exists(device))

    @admin.display(description=_("second factor"), boolean=True, ordering="second_factor")
    def has_second_factor(self, user: Any) -> bool:
        return bool(user.second_factor)

    @admin.action(description=_("Remove the second factor"), permissions=["remove_second_factor"])
    def remove_second_factor(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """For users who have lost both the app and the recovery codes: the password alone signs in again."""
        for user in users:
            second_factor.remove(user)
            self.log_change(request, user, gettext("Removed the second factor."))
        self.message_user(request, gettext("These accounts now sign in with only their passwords."), messages.SUCCESS)

    def has_remove_second_factor_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser


@admin.register(Group)
class GroupAdmin(TranslatedChoices, BaseGroupAdmin, ModelAdmin):
    """Groups are roles; three come with the site."""

    list_display = ("role",)

    @admin.display(description=_("name"), ordering="name")
    def role(self, group: Group) -> str:
        return role_label(group)


@admin.register(AccessAttempt)
class AttemptAdmin(ModelAdmin):
    """Guesses of passwords within the last hour: who has been locked out, and the way to let them in again."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time", "is_locked")
    search_fields = ("username", "ip_address")
    fields = readonly_fields = list_display
    ordering = ("-attempt_time",)
    actions = ("unlock",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessAttempt]:
        attempts: QuerySet[AccessAttempt] = super().get_queryset(request)
        return attempts.filter(attempt_time__gt=timezone.now() - guesses.WINDOW)

    @admin.display(description=_("locked"), boolean=True)
    def is_locked(self, attempt: AccessAttempt) -> bool:
        return bool(guesses.retry_after(attempt.ip_address, attempt.username))

    @admin.action(description=_("Unlock"), permissions=["delete"])
    def unlock(self, request: HttpRequest, attempts: QuerySet[AccessAttempt]) -> None:
        """Forget these guesses, and all others from their addresses, which may be locked as a whole."""
        addresses = set(attempts.values_list("ip_address", flat=True))
        AccessAttempt.objects.filter(ip_address__in=addresses).delete()
        sentence = ngettext(
            "%(count)d address was unlocked.",
            "%(count)d addresses were unlocked.",
            len(addresses),
        )
        self.message_user(request, sentence % {"count": len(addresses)}, messages.SUCCESS)

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # it would do less than unlocking
        return actions

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

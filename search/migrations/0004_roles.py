"""The roles that come with the site: groups that a shop may change as it likes."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

CATALOGUE = ("product", "productimage", "category", "brand")
SEARCH = ("indexversion", "indexentry", "query")

ROLES = {
    "Catalogue editor": {
        f"catalogue.{action}_{model}" for action in ("add", "change", "delete", "view") for model in CATALOGUE
    },
    "Index operator": {
        *(f"catalogue.view_{model}" for model in CATALOGUE),
        *(f"search.view_{model}" for model in SEARCH),
        "search.change_indexversion",
        "search.change_indexentry",
        "search.delete_query",
    },
    # No `search.view_query`: shoppers' pictures are for those who look after search.
    "Viewer": {
        *(f"catalogue.view_{model}" for model in CATALOGUE),
        "search.view_indexversion",
        "search.view_indexentry",
    },
}


def make_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the groups and give them their permissions. What a group has beyond them stays."""
    database = schema_editor.connection.alias
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    groups = apps.get_model("auth", "Group").objects.using(database)
    # Django makes permissions when all migrations are done; on an empty database that is too late for these.
    for label in ("catalogue", "search"):
        config = apps.get_app_config(label)
        config.models_module = True
        create_permissions(config, verbosity=0, interactive=False, using=database, apps=apps)
        config.models_module = None
    for name, wanted in ROLES.items():
        group, _made = groups.get_or_create(name=name)
        for codename in sorted(wanted):
            label, _dot, codename = codename.partition(".")
            group.permissions.add(permissions.get(content_type__app_label=label, codename=codename))


def remove_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Remove the groups that nobody is in; those with members are the shop's by now."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    groups.filter(name__in=ROLES, user__isnull=True).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("search", "0003_index_runs"),
        ("catalogue", "0002_large_renditions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, remove_roles)]

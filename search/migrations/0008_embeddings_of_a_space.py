from django.db import migrations, models


def keep_one_per_content(apps, schema_editor):
    """Backwards, a content has one embedding per model: that of the newest colour code stays."""
    Embedding = apps.get_model("search", "Embedding")
    newer = Embedding.objects.filter(
        digest=models.OuterRef("digest"),
        fingerprint=models.OuterRef("fingerprint"),
        colours_version__gt=models.OuterRef("colours_version"),
    )
    Embedding.objects.filter(models.Exists(newer)).delete()


class Migration(migrations.Migration):
    dependencies = [("search", "0007_throttle_windows")]

    operations = [
        migrations.AddConstraint(
            model_name="embedding",
            constraint=models.UniqueConstraint(
                fields=("digest", "fingerprint", "colours_version"), name="embedding_once_per_space"
            ),
        ),
        migrations.RemoveConstraint(model_name="embedding", name="embedding_once_per_content"),
        migrations.RunPython(migrations.RunPython.noop, keep_one_per_content),
        migrations.RenameField("indexentry", "losses", "worker_crashes"),
    ]

from datetime import timedelta

from django.db import migrations, models
from django.db.models import F
from django.utils import timezone

REASON = "Rebuilds are no longer paused. Start it again: embeddings are kept, so it is quick."


def cancel_paused(apps, schema_editor):
    jobs, now = apps.get_model("search", "IndexJob").objects, timezone.now()
    if jobs.filter(state="paused").update(state="cancelled", ended=now, reason=REASON):
        versions = apps.get_model("search", "IndexVersion").objects.filter(state__in=["building", "ready"])
        versions.filter(retired=None).update(retired=now)
        versions.update(state="retired")
    jobs.filter(kind="discard").delete()
    jobs.filter(state="running").update(leased_until=F("seen") + timedelta(minutes=3))


class Migration(migrations.Migration):
    dependencies = [("search", "0010_index_jobs")]

    operations = [
        migrations.AddField("indexjob", "owner", models.CharField(blank=True, max_length=100)),
        migrations.AddField("indexjob", "leased_until", models.DateTimeField(null=True)),
        migrations.RunPython(cancel_paused, migrations.RunPython.noop),
    ]

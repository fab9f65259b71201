from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("search", "0011_leases_of_jobs")]

    operations = [
        migrations.RemoveConstraint("indexjob", "one_run_in_each_standing_state"),
        migrations.RemoveField("indexjob", "seen"),
        migrations.AlterField(
            "indexjob",
            "kind",
            models.CharField(
                choices=[("sync", "sync"), ("rebuild", "rebuild"), ("rollback", "rollback"), ("audit", "audit")],
                max_length=8,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            "indexjob",
            "state",
            models.CharField(
                choices=[
                    ("waiting", "waiting"),
                    ("running", "running"),
                    ("done", "done"),
                    ("failed", "failed"),
                    ("cancelled", "cancelled"),
                ],
                default="waiting",
                max_length=9,
                verbose_name="state",
            ),
        ),
        migrations.AddConstraint(
            "indexjob",
            models.UniqueConstraint(
                condition=models.Q(("state__in", ["waiting", "running"])),
                fields=("state",),
                name="one_job_waiting_one_running",
            ),
        ),
    ]

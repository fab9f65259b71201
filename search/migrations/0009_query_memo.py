import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("search", "0008_embeddings_of_a_space")]

    operations = [
        migrations.CreateModel(
            name="QueryMemo",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("ranking", "Ranking"), ("box", "Box"), ("nearest", "Nearest")], max_length=7
                    ),
                ),
                ("slot", models.PositiveSmallIntegerField()),
                ("name", models.CharField(help_text="SHA-256 of what it is called", max_length=64)),
                ("data", models.BinaryField()),
                ("created", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "query",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="memos", to="search.query"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("query", "kind", "slot"), name="memo_once_per_slot")
                ],
            },
        ),
    ]

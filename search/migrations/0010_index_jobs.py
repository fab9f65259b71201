import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("search", "0009_query_memo")]

    operations = [
        migrations.RenameModel("IndexRun", "IndexJob"),
        migrations.AlterField(
            model_name="indexjob",
            name="version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="jobs",
                to="search.indexversion",
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("search", "0005_rebuilds_and_audits"),
    ]

    operations = [
        migrations.AddField(
            model_name="indexentry",
            name="losses",
            field=models.PositiveSmallIntegerField(default=0),
        ),
    ]

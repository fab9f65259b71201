import django.utils.timezone
from django.db import migrations, models


def tell_products_apart(apps, schema_editor):
    """Which of the queries at hand were made with a product; those that were forgotten cannot be told."""
    apps.get_model("search", "Query").objects.filter(photo__isnull=False).update(kind="product")


class Migration(migrations.Migration):

    dependencies = [
        ('search', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='query',
            name='alike',
            field=models.BooleanField(null=True, verbose_name='anything alike'),
        ),
        migrations.AddField(
            model_name='query',
            name='best',
            field=models.FloatField(help_text='raw cosine of the nearest photo; null for none', null=True, verbose_name='best score'),
        ),
        migrations.AddField(
            model_name='query',
            name='best_match',
            field=models.CharField(blank=True, choices=[('same_item', 'same item'), ('very_similar', 'very similar'), ('similar', 'similar'), ('loosely_similar', 'loosely similar'), ('none', 'not similar')], max_length=15, verbose_name='best match'),
        ),
        migrations.AddField(
            model_name='query',
            name='found',
            field=models.PositiveIntegerField(help_text='products in the first list', null=True, verbose_name='results'),
        ),
        migrations.AddField(
            model_name='query',
            name='kind',
            field=models.CharField(choices=[('picture', 'own picture'), ('product', 'product')], default='picture', max_length=7, verbose_name='asked with'),
        ),
        migrations.AlterField(
            model_name='query',
            name='created',
            field=models.DateTimeField(db_index=True, default=django.utils.timezone.now, verbose_name='when'),
        ),
        migrations.RunPython(tell_products_apart, migrations.RunPython.noop, elidable=True),
    ]

from django.db import migrations, models
from django.db.models import F, Q


def use_the_thumbnail(apps, schema_editor):
    """A photo that is there already has nothing larger than its thumbnail until `make_renditions` has been run."""
    photos = apps.get_model('catalogue', 'ProductImage').objects.using(schema_editor.connection.alias)
    photos.update(large=F('thumbnail'))


class Migration(migrations.Migration):

    dependencies = [
        ('catalogue', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='productimage',
            name='large',
            field=models.FileField(db_index=True, default='', editable=False, help_text='The thumbnail, where there is hardly anything larger.', max_length=200, upload_to='', verbose_name='large rendition'),
            preserve_default=False,
        ),
        migrations.RunPython(use_the_thumbnail, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name='productimage',
            name='photo_has_its_files',
        ),
        migrations.AddConstraint(
            model_name='productimage',
            constraint=models.CheckConstraint(condition=Q(~Q(file=''), ~Q(thumbnail=''), ~Q(large='')), name='photo_has_its_files'),
        ),
    ]

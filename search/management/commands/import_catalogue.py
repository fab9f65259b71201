"""The catalogue's `import_catalogue`, which here ends with the new photos searchable."""

from catalogue.management.commands.import_catalogue import Command as CatalogueCommand
from search.management.importing import IndexedImport


class Command(IndexedImport, CatalogueCommand):
    help = CatalogueCommand.help

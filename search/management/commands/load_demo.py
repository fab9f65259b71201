"""The catalogue's `load_demo`, which here ends with the new photos searchable."""

from demo.management.commands.load_demo import Command as CatalogueCommand
from search.management.importing import IndexedImport


class Command(IndexedImport, CatalogueCommand):
    help = CatalogueCommand.help

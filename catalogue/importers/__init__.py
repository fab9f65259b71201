"""From a supplier's folder, archive or table to products and photos in the catalogue.

A source (`folder`, `archive`, `tabular`) yields `records.ProductRecord`s and `records.Reject`s, one after the
other; an `importer.Importer` brings them into the catalogue batch by batch.
"""

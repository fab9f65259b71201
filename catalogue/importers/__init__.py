"""Import products and photos from a supplier's folder, archive or table.

A source (`folder`, `archive`, `objects`, `tabular`, `workbook`, `feidegger`) yields `records.ProductRecord`s and
`records.Reject`s; an `importer.Importer` writes them to the catalogue in batches.
"""

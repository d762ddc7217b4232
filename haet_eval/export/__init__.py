"""Bundles records with all the files that they name, for an archive: an RO-Crate."""

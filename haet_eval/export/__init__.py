"""Records and all that they rest on, as one bundle for an archive: an RO-Crate."""

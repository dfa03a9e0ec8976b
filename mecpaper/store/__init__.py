"""Results as files: atomic writes, checksums, tables. No torch."""

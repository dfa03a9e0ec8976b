"""Results as files: written atomically, with checksums, read as tables. No torch."""

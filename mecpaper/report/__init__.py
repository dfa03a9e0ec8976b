"""Statistics, figures, tables and diagrams: data in, picture out. No torch, no reading of files."""

"""Statistics, figures, tables and diagrams: data in, picture out. No torch."""

"""A ``Report`` -> text or JSON. Pure: nothing here reads, probes or judges."""

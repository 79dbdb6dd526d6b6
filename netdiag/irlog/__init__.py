"""Event logs and pasted error text -> observations. Reads files; imports only model."""

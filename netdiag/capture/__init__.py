"""Capture files -> packet columns -> conversations -> observations. Reads files; imports only model and wire."""

"""Rules about https."""

"""Rules about tcp."""

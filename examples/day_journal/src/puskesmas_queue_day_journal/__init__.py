"""A journal of the hall's day with notes, and a limit to how many wait."""

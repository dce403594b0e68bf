"""Measured charging sessions: files of others made one table, and what is drawn from it.

`abm.sessions.reading` imports a file, `abm.sessions.cleaning` drops and repairs rows and counts
them.
"""

"""Stub replaced in a moment."""

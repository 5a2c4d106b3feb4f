"""The interactive site of a run: data as small scripts, and the app that shows them from the disk."""

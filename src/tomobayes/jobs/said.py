"""What programs that start jobs look for in what jobs say."""

__all__ = ["FOLDER_SAID"]

FOLDER_SAID = "Folder:"
"""After this word a job says, as soon as it has one, in which folder it writes."""

"""Job folders, records, locks, exit markers, checkpoints and the project's list of jobs. Knows no verb."""

from tomobayes.project.checkpoint import checkpoints, latest_checkpoint, load_state, rewind, save_checkpoint, save_state
from tomobayes.project.folder import JobFolder, Mode, check_folder, occupy
from tomobayes.project.lock import folder_lock, is_locked
from tomobayes.project.markers import Ending, abort_requested, ending
from tomobayes.project.record import Record, new_record, read_record

__all__ = [
    "Ending",
    "JobFolder",
    "Mode",
    "Record",
    "abort_requested",
    "check_folder",
    "checkpoints",
    "ending",
    "folder_lock",
    "is_locked",
    "latest_checkpoint",
    "load_state",
    "new_record",
    "occupy",
    "read_record",
    "rewind",
    "save_checkpoint",
    "save_state",
]

"""Job folders, records, locks, exit markers, checkpoints and the project's list of jobs. Knows no verb."""

from tomobayes.project.checkpoint import checkpoints, latest_checkpoint, load_state, rewind, save_checkpoint, save_state
from tomobayes.project.folder import JobFolder, Mode, check_folder, occupy
from tomobayes.project.listing import Job, Status, find_job, list_jobs
from tomobayes.project.lock import Holder, folder_lock, holder, is_locked
from tomobayes.project.markers import Ending, abort_requested, ending, request_abort
from tomobayes.project.nodes import Node
from tomobayes.project.progress import Progress, clear_progress, read_progress, write_progress
from tomobayes.project.record import Record, new_record, read_record
from tomobayes.project.trash import throw_away

__all__ = [
    "Ending",
    "Holder",
    "Job",
    "JobFolder",
    "Mode",
    "Node",
    "Progress",
    "Record",
    "Status",
    "abort_requested",
    "check_folder",
    "checkpoints",
    "clear_progress",
    "ending",
    "find_job",
    "folder_lock",
    "holder",
    "is_locked",
    "latest_checkpoint",
    "list_jobs",
    "load_state",
    "new_record",
    "occupy",
    "read_progress",
    "read_record",
    "request_abort",
    "rewind",
    "save_checkpoint",
    "save_state",
    "throw_away",
    "write_progress",
]

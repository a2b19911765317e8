"""What a user may say to each verb: light models without any mathematics, for command line, Python, forms and job.toml."""

from tomobayes.jobs.parameters.align import Align
from tomobayes.jobs.parameters.arrangement import ExpandSymmetry, Join
from tomobayes.jobs.parameters.base import JobParameters, Parameters
from tomobayes.jobs.parameters.check import Check
from tomobayes.jobs.parameters.classify import Classify
from tomobayes.jobs.parameters.clean_lattice import CleanLattice
from tomobayes.jobs.parameters.cluster_submit import ClusterSubmit
from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.curation import Dedupe, Select, SplitHalves
from tomobayes.jobs.parameters.cycle import Cycle
from tomobayes.jobs.parameters.export import Export
from tomobayes.jobs.parameters.extract import Extract
from tomobayes.jobs.parameters.half_maps import HalfMapParameters
from tomobayes.jobs.parameters.images import ImageParameters
from tomobayes.jobs.parameters.import_project import ImportProject
from tomobayes.jobs.parameters.info import Info
from tomobayes.jobs.parameters.initial_model import InitialModel
from tomobayes.jobs.parameters.local_resolution import LocalResolution
from tomobayes.jobs.parameters.map_back import MapBack
from tomobayes.jobs.parameters.mask import Mask
from tomobayes.jobs.parameters.postprocess import Postprocess
from tomobayes.jobs.parameters.project_report import ProjectReport
from tomobayes.jobs.parameters.reconstruct import Reconstruct
from tomobayes.jobs.parameters.refine import Refine
from tomobayes.jobs.parameters.refine_ctf import RefineCtf
from tomobayes.jobs.parameters.sample_surface import SampleSurface
from tomobayes.jobs.parameters.simulate import Simulate
from tomobayes.jobs.parameters.subtract import Subtract

__all__ = [
    "Align",
    "Check",
    "Classify",
    "CleanLattice",
    "ClusterSubmit",
    "ComputeParameters",
    "Cycle",
    "Dedupe",
    "ExpandSymmetry",
    "Export",
    "Extract",
    "HalfMapParameters",
    "ImageParameters",
    "ImportProject",
    "Info",
    "InitialModel",
    "JobParameters",
    "Join",
    "LocalResolution",
    "MapBack",
    "Mask",
    "Parameters",
    "Postprocess",
    "ProjectReport",
    "Reconstruct",
    "Refine",
    "RefineCtf",
    "SampleSurface",
    "Select",
    "Simulate",
    "SplitHalves",
    "Subtract",
]

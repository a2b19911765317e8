"""Atomic models (mmCIF, PDB; gzipped or not) and the reduced models that come with the package, as scatterers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from tomobayes.model import BadInput, Problem
from tomobayes.simulation.scattering import Scatterers, atoms, beads

__all__ = ["BUILTIN", "builtin_model", "read_atomic_model"]

BUILTIN = ("apoferritin", "ribosome")
"""Names of the models in simulation/models, whose README says where they come from."""


def read_atomic_model(path: Path | str) -> Scatterers:
    """Atoms of the first model of a file as it stands (its assemblies are not built); water is left out.

    Alternative conformations count with their occupancies. Anything gemmi reads: .cif, .pdb, .ent, with or without .gz.
    """
    import gemmi

    path = Path(path)
    try:
        structure = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(Problem(path, "", f"no atomic model could be read: {error}", remedy="give an mmCIF or PDB file")) from error
    structure.remove_waters()
    sites = [site.atom for site in structure[0].all() if site.atom.occ > 0] if len(structure) else []
    if not sites:
        raise BadInput(Problem(path, "", "the file holds no atoms", remedy="give a file with coordinates"))
    unknown = next((atom.name for atom in sites if atom.element.atomic_number == 0), None)
    if unknown is not None:
        raise BadInput(Problem(path, f"atom {unknown}", "its element is not given", "scattering depends on it", "fill the element column"))
    position = np.array([atom.pos.tolist() for atom in sites])
    return atoms(position, [atom.element.name for atom in sites], np.array([atom.occ for atom in sites]))


def builtin_model(name: str) -> Scatterers:
    """One of the reduced models: a Gaussian bead per amino acid and two per nucleotide, faithful to about 10 Å."""
    if name not in BUILTIN:
        raise BadInput(
            Problem(None, f"builtin:{name}", "there is no such model", remedy=f"choose one of {', '.join(BUILTIN)}, or give a file")
        )
    with resources.files("tomobayes.simulation").joinpath("models", f"{name}.npz").open("rb") as file, np.load(file) as stored:
        position = 0.1 * stored["position_tenths"].astype(np.float64)
        return beads(position, stored["contrast_angstrom"].astype(np.float64), 0.1 * stored["sigma_tenths"].astype(np.float64))

"""The catalogue of bad input: 28 faults that have troubled users of other programs, and where each is tested; the rest is tested here."""

from __future__ import annotations

import ast
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from test_faults import PARTICLES, RECONSTRUCT, TILTS, TOMOGRAMS, columns

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.relion import read_dataset

CATALOGUE = {
    1: ("file listed but missing", "formats/test_relion_faults.py::test_a_fault_is_told_once_with_its_place_and_remedy"),
    2: ("truncated, empty or corrupt MRC", "formats/test_mrc.py::test_files_that_are_not_what_they_say"),
    3: ("unsupported or odd MRC mode", "formats/test_mrc.py::test_modes_and_byte_orders_as_mrcfile_writes_them"),
    4: ("NaN or infinite pixels", "jobs/test_faults.py::test_faulty_data_are_refused_at_the_door"),
    5: ("constant images", "formats/test_mrc.py::test_spoilt_images_are_named"),
    6: ("pixel sizes that contradict each other", "jobs/test_faults.py::test_unfit_references"),
    7: ("mask of a wrong shape, all zero, negative or above one", "maps/test_masks.py::test_bad_masks_are_named"),
    8: ("STAR columns missing", "jobs/test_faults.py::test_missing_columns_are_listed_all_at_once"),
    9: ("STAR columns twice, ragged rows, quotes, CRLF", "formats/test_star.py::test_a_faulty_file_is_named_by_line"),
    10: ("STAR columns unknown", "formats/test_relion_write.py::test_unknown_columns_and_odd_text_stay"),
    11: ("decimal commas", "formats/test_star.py::test_cells_that_are_no_numbers_are_named"),
    12: ("particles or coordinates twice", "jobs/test_check_job.py::test_what_is_odd_is_told_with_its_place_and_remedy"),
    13: ("particles off the images", "imaging/test_gathering.py::test_particles_at_the_border_are_not_usable"),
    14: ("mismatched tilt counts", "formats/test_alignments_of_others.py::test_files_of_one_alignment_must_have_as_many_lines"),
    15: ("unsorted or repeated tilt angles", "jobs/test_data_verbs.py::test_order_of_acquisition_is_recognised"),
    16: ("dose absent, zero, repeated or hybrid", "jobs/test_check_job.py::test_what_is_odd_is_told_with_its_place_and_remedy"),
    17: ("ranges of excluded views", "formats/test_alignments_of_others.py::test_lists_of_views_have_ranges"),
    18: ("series of different sizes and pixel sizes", "jobs/test_several_pixel_sizes.py::test_refines_to_one_map"),
    19: ("odd and oblong images, odd boxes", "jobs/test_bad_inputs.py::test_odd_oblong_images_give_the_same_map"),
    20: ("stacks beyond 2³¹ pixels", "jobs/test_bad_inputs.py::test_stacks_beyond_two_to_the_31"),
    21: ("odd names of tomograms", "jobs/test_bad_inputs.py::test_any_name_of_a_tomogram"),
    22: ("wrong hand or contrast", "inference/test_verdicts.py::test_defocus_hand_is_told_from_its_opposite"),
    23: ("tomograms with none or one particle, one particle per half", "jobs/test_bad_inputs.py::test_one_particle_per_half"),
    24: ("several optics groups", "inference/test_mixed_optics.py::test_a_map_of_both_is_as_good_as_of_images_that_are_alike"),
    25: ("no GPU, or one that cannot be used", "compute/test_device.py::test_cuda_is_used_where_pytorch_and_triton_can"),
    26: ("disk full or writing interrupted", "formats/test_star.py::test_a_failed_write_leaves_the_old_file_and_nothing_else"),
    27: ("killed at any moment", "jobs/test_resume.py::test_killed_at_any_moment"),
    28: ("two processes in one folder", "project/test_folder.py::test_folder_of_a_living_process_is_refused_and_of_a_killed_one_is_free"),
}


@pytest.mark.parametrize("number", range(1, 29))
def test_every_fault_of_the_catalogue_has_a_test(number: int) -> None:
    file, _, name = CATALOGUE[number][1].partition("::")
    tree = ast.parse((Path(__file__).parents[1] / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_odd_oblong_images_give_the_same_map(tiny) -> None:
    """96 x 80 pixels without the first row and column are 95 x 79 with the same pixel in the middle."""
    assert main([*RECONSTRUCT, "--o", "even"]) == 0
    for number in (1, 2):
        with mrcfile.open(f"sim/TS_0{number}.mrcs", "r+") as stream:
            stream.set_data(stream.data[:, 1:, 1:].copy())
            stream.voxel_size = 16.0
    assert main([*RECONSTRUCT, "--o", "odd"]) == 0
    even, odd = read_map("even/merged.mrc").data, read_map("odd/merged.mrc").data
    assert np.corrcoef(even.ravel(), odd.ravel())[0, 1] > 0.99


def test_odd_boxes_are_refused_in_a_sentence(tiny, capsys) -> None:
    words = ["25" if word == "24" else word for word in RECONSTRUCT]
    assert main([*words, "--o", "out"]) == 2
    assert "--box should be a multiple of 2, not '25'" in capsys.readouterr().err


def test_stacks_beyond_two_to_the_31(tmp_path) -> None:
    """Two images of 40000² float32 pixels, 12.8 GB of holes but for one pixel at the very end."""
    path, edge = tmp_path / "large.mrcs", 40_000
    with mrcfile.new(tmp_path / "small.mrcs") as stream:
        stream.set_data(np.zeros((2, 2, 2), dtype=np.float32))
    header = np.frombuffer((tmp_path / "small.mrcs").read_bytes()[:1024], dtype="<i4").copy()
    header[:2] = edge
    with path.open("wb") as file:
        file.write(header.tobytes())
        file.seek(1024 + 2 * edge * edge * 4 - 4)
        file.write(np.float32(7).tobytes())
    images = MrcImages.of_stack(path, 1.0)
    assert images.shape == (2, edge, edge) and images.read(1)[-1, -1] == 7


@pytest.mark.parametrize("name", ["lamella.α-β.rec", "a", "Position 1_2.mrc"])
def test_any_name_of_a_tomogram(name: str, tiny) -> None:
    for file, label in ((PARTICLES, "particles"), (TOMOGRAMS, "global")):
        columns(
            file, label, lambda cells: cells.update(rlnTomoName=np.where(cells["rlnTomoName"] == "TS_01", name, cells["rlnTomoName"]))
        )()
    Path(TILTS).write_text(Path(TILTS).read_text().replace("data_TS_01", f"data_{name}"))
    assert main([*RECONSTRUCT, "--o", "out"]) == 0
    assert read_dataset(Path("out")).tilt_series[0].name == name
    assert main(["import", "--i", "sim", "--o", "imported"]) == 0
    assert read_dataset(Path("imported")).tilt_series[0].name == name


def test_one_particle_per_half(tiny) -> None:
    """Of the first tilt series one particle is left, of the second one: the first half and the second."""
    keep = np.isin(np.arange(16), [3, 12])
    columns(PARTICLES, "particles", lambda cells: cells.update({label: column[keep] for label, column in list(cells.items())}))()
    columns(PARTICLES, "particles", lambda cells: cells.update(rlnRandomSubset=np.array(["1", "2"])))()
    assert main([*RECONSTRUCT, "--o", "two"]) == 0
    assert np.isfinite(read_map("two/merged.mrc").data).all()


def test_a_tomogram_without_particles_is_no_obstacle(tiny) -> None:
    columns(PARTICLES, "particles", lambda cells: cells.update({label: column[:8] for label, column in list(cells.items())}))()
    assert main([*RECONSTRUCT, "--o", "out"]) == 0
    assert len(read_dataset(Path("out")).particles) == 8

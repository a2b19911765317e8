"""Mutated real files: whatever is in them, a reader gives what they hold or says what is wrong with them, soon and in little memory."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tomobayes.formats.aretomo import read_aretomo
from tomobayes.formats.ctf_files import read_ctf
from tomobayes.formats.imod_files import read_angles, read_command_file, read_transforms
from tomobayes.formats.mdoc import read_mdoc
from tomobayes.formats.mrc import read_map
from tomobayes.formats.mrc_images import MrcImages, check_images
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.formats.warp_particles import read_warp_particles
from tomobayes.formats.warp_tilt_series import read_warp_tilt_series
from tomobayes.model import BadInput

EXAMPLES = 100_000
SECONDS = 2.0
GIGABYTES = 1.0
LONGEST = 12_000
"""Bytes of a seed: enough for every kind of line, short enough to be read a hundred thousand times."""

TOKENS = (
    b"nan", b"-inf", b"1e999", b"-1", b"0", b"99999999999999999999", b"1,5", b"1_0", b"\x00", b"\xff\xfe", b"\r\n", b"\r", b"\n", b"\n\n",
    b"'", b'"', b"#", b"_", b"data_", b"loop_", b"[", b"]", b"[1,2", b"@", b"/", b"<", b">", b"&", b"&#0;", b"</Param>", b"=",
    b"[ZValue = 3]", b"=\n", b" ", b"\t", b"\xc3", "é".encode(), "٣".encode(), b"0x10", b"1e5", b"-0", b"TRUE",
)  # fmt: skip

Change = tuple[str, float, int]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "delete", "repeat", "insert", "replace", "cut", "line", "swap"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 2**31),
    ),
    min_size=1,
    max_size=4,
)


def mutated(seed: bytes, changes: list[Change]) -> bytes:
    """A file after some accidents, each at a relative place."""
    data = bytearray(seed)
    for kind, place, number in changes:
        at, length = int(place * max(len(data), 1)), number % 64 + 1
        end = next((i for i in range(at, min(at + 200, len(data))) if data[i] in b" \n\t\"'"), at + 1)
        following = data.find(b"\n", at) + 1 or len(data)
        if kind == "flip" and data:
            data[at] ^= 1 << number % 8
        elif kind == "delete":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length * 8] * (number % 3 + 1)
        elif kind == "insert":
            data[at:at] = TOKENS[number % len(TOKENS)]
        elif kind == "replace":
            data[at:end] = TOKENS[number % len(TOKENS)]
        elif kind == "cut":
            del data[at:]
        elif kind == "line":
            del data[at:following]
        elif kind == "swap":
            tail = data[following:]
            data[at:] = tail + data[at:following]
    return bytes(data)


@dataclass(frozen=True)
class Target:
    """A reader and a real file to spoil for it.

    Parameters
    ----------
    read : of the path of the spoilt file
    seed : the file, in the shared folder; share : of all examples
    whole : whether it must not be shortened
    """

    read: Callable[[Path], object]
    seed: str
    share: float
    whole: bool = False


def _whole_images(path: Path) -> None:
    images = MrcImages.of_stack(path)
    if images.shape[0] < 50:
        check_images(images, "spoilt")


def _whole_project(path: Path) -> None:
    read_dataset(None, path.parent / "particles.star", path.parent / "tomograms.star", require_images=False)


GEOMETRY, SIMULATED = "data/geometry", "data/simulated/ribosome"
TARGETS = {
    "STAR": Target(read_star, "data/empiar10164/Import/job001/tilt_series/TS_01.star", 0.1),
    "STAR particles": Target(_whole_project, f"{SIMULATED}/particles.star", 0.12),
    "STAR tomograms": Target(_whole_project, f"{SIMULATED}/tomograms.star", 0.03),
    "STAR tilt series": Target(_whole_project, f"{SIMULATED}/TS_01.star", 0.05),
    "MRC map": Target(read_map, f"{GEOMETRY}/pytom-match-pick/human_ribo_mask_32_8_5.mrc", 0.1, whole=True),
    "MRC stack": Target(_whole_images, f"{GEOMETRY}/warpylib_EMPIAR10491_10499/shift_reference.mrc", 0.1, whole=True),
    "Warp XML": Target(read_warp_tilt_series, f"{GEOMETRY}/warpylib_EMPIAR10491_10499/00254.xml", 0.1, whole=True),
    "Warp particles": Target(read_warp_particles, "data/real/ribosome_70s_12A/warptools_test_4-tomos_10-ptcls_box-32_angpix-12.star", 0.05),
    "mdoc": Target(read_mdoc, f"{GEOMETRY}/tiltstack_EMPIAR10164_TS_01/mdoc/TS_01.mrc.mdoc", 0.1),
    "aln": Target(read_aretomo, f"{GEOMETRY}/alnfile_aretomo/global_and_local.aln", 0.1),
    "xf": Target(read_transforms, f"{GEOMETRY}/alnfile_aretomo/global_no_local.xf", 0.05),
    "tlt": Target(read_angles, f"{GEOMETRY}/alnfile_aretomo/global_no_local.tlt", 0.02),
    "tilt.com": Target(read_command_file, f"{GEOMETRY}/cryocat_TS_017_018/TS_017/tilt.com", 0.03),
    "ctffind": Target(read_ctf, f"{GEOMETRY}/cryocat_TS_017_018/TS_017/017_ctffind4.txt", 0.03),
    "ctfplotter": Target(read_ctf, f"{GEOMETRY}/pytom-match-pick/test_imod.defocus", 0.01),
    "emClarity": Target(read_ctf, f"{GEOMETRY}/emClarity_riboNew/ctf/riboNew11_ali1_ctf.tlt", 0.01),
}  # fmt: skip


def test_shares_are_of_all_examples() -> None:
    """The sum over all formats is what is claimed."""
    assert abs(sum(target.share for target in TARGETS.values()) - 1) < 1e-9


@pytest.fixture
def project(tmp_path: Path, shared: Path) -> Path:
    """A folder with the tables of a project beside the file that is spoilt."""
    for name in ("particles.star", "tomograms.star", "TS_01.star", "TS_02.star"):
        shutil.copyfile(shared / SIMULATED / name, tmp_path / name)
    return tmp_path


def _seed(target: Target, shared: Path) -> bytes:
    seed = (shared / target.seed).read_bytes()
    return seed if target.whole else seed[:LONGEST].rpartition(b"\n")[0] + b"\n"


@pytest.mark.parametrize("name", TARGETS)
def test_files_that_are_not_spoilt_are_read(name: str, project: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing of a reader but its first line would be tried."""
    monkeypatch.chdir(project)
    path = project / Path(TARGETS[name].seed).name
    path.write_bytes(_seed(TARGETS[name], shared))
    TARGETS[name].read(path)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_files_are_read_or_refused(name: str, project: Path, shared: Path, claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """10⁵ mutations of real files in all: exceptions other than BadInput, longest time and growth of the process."""
    monkeypatch.chdir(project)
    target, seed = TARGETS[name], _seed(TARGETS[name], shared)
    path = project / Path(target.seed).name
    crashes: list[str] = []
    tally = {"read": 0, "refused": 0, "slowest": 0.0}

    @settings(
        max_examples=round(EXAMPLES * target.share),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CHANGES)
    def spoil(changes: list[Change]) -> None:
        path.write_bytes(mutated(seed, changes))
        start = time.thread_time()
        try:
            target.read(path)
            tally["read"] += 1
        except BadInput as error:
            assert error.problems
            tally["refused"] += 1
        except Exception as error:  # what is looked for
            crashes.append(f"{type(error).__name__}: {error} from {changes}")
        tally["slowest"] = max(tally["slowest"], time.thread_time() - start)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spoil()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    print("\n".join(dict.fromkeys(crash.split(" from ")[0] for crash in crashes)), *crashes[:5], sep="\n")
    claims.measured(f"{name}: files of {tally['read'] + tally['refused'] + len(crashes)} that crash the reader", len(crashes), at_most=0)
    claims.measured(f"{name}: s of the slowest", tally["slowest"], at_most=SECONDS)
    claims.measured(f"{name}: GB that the process grew by", grown, at_most=GIGABYTES)
    claims.measured(f"{name}: share that is refused", tally["refused"] / max(tally["read"] + tally["refused"], 1))

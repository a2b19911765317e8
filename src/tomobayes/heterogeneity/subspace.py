"""Probabilistic PCA at fixed poses: particle i shows (1 + c_i)·μ + U_0 + Σ_a z_ia·U_a, with z ~ N(0, 1) and a contrast c ~ N(0, s²).

Expectation: given the maps the coefficients of a particle have a Gaussian posterior, a ridge regression of its images on 1 + r maps.
Maximisation: given those, the offset U_0 and the components U_a are, voxel by voxel, the solution of 1 + r equations; each has a prior
variance per shell that is learned from it (automatic relevance determination), so that components which only fit noise fade away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.heterogeneity.gridding import Gridded, masked

__all__ = ["Coefficients", "Subspace", "expected_coefficients", "fit_subspace", "log_evidence"]

CONTRAST_VARIANCE = 0.04
"""Where the variance of contrasts starts."""
STARTS = 4
TURNING, JUDGING = 15, 25
"""Iterations before and after components are judged."""


@dataclass(frozen=True)
class Subspace:
    """Offset and components.

    Parameters
    ----------
    maps : (1+r, V) complex64: U_0, then U_1 … U_r, the strongest first
    covariance : (1+r, 1+r, V) float32, how well they are known: of one real component of each voxel, inside the mask
    tau2 : (1+r, R+1) prior variance per shell of one real component, inside the mask
    contrast_variance : s²
    """

    maps: Tensor
    covariance: Tensor
    tau2: Tensor
    contrast_variance: float

    @property
    def rank(self) -> int:
        """r."""
        return len(self.maps) - 1


@dataclass(frozen=True)
class Coefficients:
    """What the images of P particles say about their coefficients x = (c, z): h'x - ½·x'Λx nats.

    Parameters
    ----------
    linear : (P, 1+r) h; quadratic : (P, 1+r, 1+r) Λ
    prior : (1+r,) precision of the prior N(0, 1/prior)
    """

    linear: Tensor
    quadratic: Tensor
    prior: Tensor

    def of_rank(self, rank: int) -> Coefficients:
        """As if only the first components were there."""
        n = rank + 1
        return Coefficients(self.linear[:, :n], self.quadratic[:, :n, :n], self.prior[:n])

    def posterior(self) -> tuple[Tensor, Tensor]:
        """(P, 1+r) means and (P, 1+r, 1+r) covariances."""
        covariance = torch.linalg.inv(self.quadratic + torch.diag(self.prior))
        return torch.einsum("pab,pb->pa", covariance, self.linear), covariance

    def without_contrast(self) -> tuple[Tensor, Tensor]:
        """h (P, r) and Λ (P, r, r) of the components alone, the contrast integrated out."""
        share = self.quadratic[:, 1:, 0] / (self.quadratic[:, :1, 0] + self.prior[0])
        linear = self.linear[:, 1:] - share * self.linear[:, :1]
        return linear, self.quadratic[:, 1:, 1:] - share[:, :, None] * self.quadratic[:, :1, 1:]


def log_evidence(told: Coefficients) -> Tensor:
    """(P,) log of the likelihood of each particle's images, coefficients integrated out, relative to the common map."""
    mean, covariance = told.posterior()
    found: Tensor = 0.5 * (mean * told.linear).sum(1) + 0.5 * (told.prior.log().sum() + torch.logdet(covariance))
    return found


def expected_coefficients(gridded: Gridded, subspace: Subspace) -> Coefficients:
    """What the images of each particle say about its coefficients."""
    n, maps = subspace.rank + 1, subspace.maps
    upper = torch.triu_indices(n, n)
    shared, seen = ((values @ maps.conj().T).real.double() for values in (gridded.common, gridded.data))
    products = (maps[upper[0]].conj() * maps[upper[1]]).real + 2 * subspace.covariance[upper[0], upper[1]]
    quadratic = seen.new_empty(len(seen), n, n)
    quadratic[:, upper[0], upper[1]] = quadratic[:, upper[1], upper[0]] = (gridded.weight @ products.T).double()
    linear = seen - quadratic[:, 0]
    linear[:, 0] = gridded.agreement - shared[:, 0]
    quadratic[:, 0], quadratic[:, :, 0] = shared, shared
    quadratic[:, 0, 0] = gridded.power
    prior = torch.ones(n, dtype=torch.float64)
    prior[0] = 1 / subspace.contrast_variance
    return Coefficients(linear, quadratic, prior)


def fit_subspace(gridded: Gridded, mask: Tensor, rank: int, seed: int) -> Subspace:
    """Offset and components from random coefficients, the best of a few starts.

    Parameters
    ----------
    mask : (n, n, n) in [0, 1] on the coarse grid, where particles may differ
    """
    found = [_fitted(gridded, mask, rank, seed * STARTS + start) for start in range(STARTS)]
    return max(found, key=lambda one: _bound(gridded, one, float(mask.square().mean())))


def _bound(gridded: Gridded, subspace: Subspace, inside: float) -> float:
    """Lower bound on the log evidence of all images: what the components explain, less the nats that it takes to know them.

    Of a Gaussian known to s² whose prior is as wide as it came out, τ², that is ½·log(τ²/s²); a mask leaves its share of the voxels.
    """
    left = (subspace.covariance.diagonal()[:, 1:].T / inside).double().clamp_min(1e-300)
    price = inside * (subspace.tau2[1:, gridded.shell] / left).clamp_min(1).log().sum()
    return float(log_evidence(expected_coefficients(gridded, subspace)).sum() - price)


def _fitted(gridded: Gridded, mask: Tensor, rank: int, seed: int) -> Subspace:
    """From one start.

    At first components are taken as exact and as large as they come out, so that they turn to where particles differ most before any
    of them is judged.
    """
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn(len(gridded.data), rank, generator=random, dtype=torch.float64)
    mean = torch.cat([torch.zeros(len(latent), 1, dtype=torch.float64), latent - latent.mean(0)], 1)
    covariance = torch.zeros(len(mean), rank + 1, rank + 1, dtype=torch.float64)
    covariance[:, 0, 0] = CONTRAST_VARIANCE
    generous = _first_priors(gridded, rank)
    subspace = _maximised(gridded, mean, covariance, mask, generous)
    for iteration in range(TURNING + JUDGING):
        if iteration < TURNING:
            subspace = replace(subspace, covariance=torch.zeros_like(subspace.covariance), tau2=generous)
        mean, covariance = expected_coefficients(gridded, subspace).posterior()
        subspace = _ordered(_whitened(_maximised(gridded, mean, covariance, mask, subspace.tau2), mean, covariance))
    return subspace


def _per_shell(values: Tensor, shell: Tensor) -> Tensor:
    """Means over the voxels of every shell, (..., V) -> (..., R+1)."""
    count = torch.bincount(shell).clamp_min(1)
    total = values.new_zeros((*values.shape[:-1], len(count))).index_add_(-1, shell, values)
    return total / count


def _first_priors(gridded: Gridded, rank: int) -> Tensor:
    """(1+r, R+1): as much as all images together can tell; the first maximisation finds less."""
    weight = gridded.weight.double().sum(0)
    told: Tensor = _per_shell(len(gridded.data) ** 0.5 / weight.clamp_min(1e-12 * float(weight.amax())), gridded.shell)
    return told.clamp_min(1e-30).expand(1 + rank, -1)


def _maximised(gridded: Gridded, mean: Tensor, covariance: Tensor, mask: Tensor, tau2: Tensor) -> Subspace:
    """The maps, and the priors that they suggest."""
    shell = gridded.shell
    upper = torch.triu_indices(mean.shape[1], mean.shape[1])
    first, with_contrast, second = _moments(mean, covariance)
    seen, contrast = (values.float().T.to(torch.complex64) for values in (first, with_contrast))
    data = seen @ gridded.data - contrast @ gridded.common
    weight = second[:, upper[0], upper[1]].float().T @ gridded.weight
    solved, left = _solved(data, weight, tau2[:, shell])
    maps, inside = masked(solved, mask, gridded.radius), float(mask.square().mean())
    power = 0.5 * _per_shell(maps.abs().square().double(), shell) / inside
    variance = _per_shell(left.diagonal().T, shell)
    spread = float((mean[:, 0].square() + covariance[:, 0, 0]).mean())
    return Subspace(maps, (inside * left).float(), power + variance, spread)


def _moments(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """E[y], E[c·y] and E[y·yᵀ] of y = (1, z), (P, 1+r) twice and (P, 1+r, 1+r), of coefficients (c, z)."""
    square = covariance + mean[:, :, None] * mean[:, None, :]
    first, with_contrast, second = mean.clone(), square[:, 0].clone(), square
    with_contrast[:, 0] = mean[:, 0]
    first[:, 0] = 1
    second[:, 0], second[:, :, 0] = first, first
    return first, with_contrast, second


def _solved(data: Tensor, weight: Tensor, tau2: Tensor) -> tuple[Tensor, Tensor]:
    """The 1+r equations of every voxel: maps (1+r, V), and the covariance of one real component that is left to them (1+r, 1+r, V)."""
    n, voxels = data.shape
    upper = torch.triu_indices(n, n)
    matrix = torch.empty(voxels, n, n, dtype=torch.float64)
    matrix[:, upper[0], upper[1]] = matrix[:, upper[1], upper[0]] = weight.T.double()
    inverse = torch.linalg.inv(matrix + torch.diag_embed((1 / tau2.clamp_min(1e-30)).T))
    solved = torch.einsum("vab,bv->av", inverse.to(torch.complex128), data.to(torch.complex128))
    return solved.to(torch.complex64), inverse.permute(1, 2, 0)


def _whitened(subspace: Subspace, mean: Tensor, covariance: Tensor) -> Subspace:
    """The same maps of all particles, with coefficients of mean 0 and covariance 1."""
    if subspace.rank == 0:
        return subspace
    centre = mean[:, 1:].mean(0)
    off = mean[:, 1:] - centre
    root = torch.linalg.cholesky(off.T @ off / len(off) + covariance[:, 1:, 1:].mean(0))
    turn = torch.eye(subspace.rank + 1, dtype=torch.float64)
    turn[0, 1:], turn[1:, 1:] = centre, root.T
    return _combined(subspace, turn)


def _ordered(subspace: Subspace) -> Subspace:
    """The same span in orthogonal components, the strongest first."""
    if subspace.rank < 2:
        return subspace
    whole = subspace.maps[1:].to(torch.complex128)
    _, vectors = torch.linalg.eigh((whole @ whole.conj().T).real)
    turn = torch.eye(subspace.rank + 1, dtype=torch.float64)
    turn[1:, 1:] = vectors.flip(1).T
    return _combined(subspace, turn)


def _combined(subspace: Subspace, turn: Tensor) -> Subspace:
    """New maps, each a sum of the old ones; their priors as if those were independent."""
    maps = turn.to(torch.complex64) @ subspace.maps
    covariance = torch.einsum("ab,bcv,dc->adv", turn.float(), subspace.covariance, turn.float())
    tau2 = turn.square() @ subspace.tau2
    tau2[0] = subspace.tau2[0]
    return Subspace(maps, covariance, tau2, subspace.contrast_variance)

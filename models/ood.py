"""Whether an image is of the kind that a model was fitted to, told by its last features. Knows no Keras.

Two things speak for a strange image. Its energy is low: the logarithm of the sum of the exponentials of the logits
(Liu and others, "Energy-based out-of-distribution detection", 2020, arXiv:2010.03759); blank pages and noise show so.
And its features are far from those of every class: the Mahalanobis distance to the nearest class's mean (Lee and
others, "A simple unified framework for detecting out-of-distribution samples", 2018, arXiv:1807.03888), here with the
features' variances alone; letters and digits show so. Being near is no merit: the distance only lowers the measure.
"""

import numpy as np
import numpy.typing as npt

from models.card import OodStatistics

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

_MOST_CENTRE_VALUES = 4000
# A feature that hardly varies must not rule the distance.
_SHARE_OF_VARIANCE = 0.01
_LEAST = 1e-6
DISTANCE_WEIGHT = 0.5


class OodScorer:
    """Tells the familiarity of images from what the model made of them."""

    def __init__(self, known: OodStatistics) -> None:
        """`known` is what was fitted to validation images."""
        self._known = known
        self._quantiles = np.array(known.quantiles)
        self._shares = np.linspace(0, 1, len(known.quantiles))
        if known.centres:
            self._spreads = np.array(known.spreads, np.float32)
            self._centres = np.array(known.centres, np.float32) / self._spreads

    def __call__(self, features: Floats, logits: Floats) -> npt.NDArray[np.float64]:
        """The share of validation images that are less familiar, 0 to 1, (images,).

        `features` (images, units) are the input of the model's last layer, `logits` (images, classes) its output
        before the softmax.
        """
        shares: npt.NDArray[np.float64] = np.interp(self.values(features, logits), self._quantiles, self._shares)
        return shares

    def values(self, features: Floats, logits: Floats) -> Floats:
        """The measure itself, of which the shares are made: the higher the more familiar, (images,)."""
        known = self._known
        energies = _energies(logits) / np.float32(known.energy_spread)
        if not known.centres:
            return energies
        surplus = (_distances(features / self._spreads, self._centres) - known.distance_mean) / known.distance_spread
        return np.asarray(energies - DISTANCE_WEIGHT * surplus.clip(0), np.float32)


def fit_ood_statistics(features: Floats, logits: Floats, labels: Labels) -> OodStatistics:
    """What tells familiar images, from what the model made of validation images of the classes `labels`."""
    energies = _energies(logits)
    fitted = OodStatistics(quantiles=(0, 1), energy_spread=_rounded(max(float(energies.std()), _LEAST)))
    classes = np.unique(labels)
    if len(classes) * features.shape[1] <= _MOST_CENTRE_VALUES:
        centres = np.stack([features[labels == index].mean(axis=0) for index in classes])
        own = centres[np.searchsorted(classes, labels)]
        variances = ((features - own) ** 2).mean(axis=0)
        spreads = np.sqrt(variances + max(_LEAST, _SHARE_OF_VARIANCE * float(features.var())))
        distances = _distances(features / spreads, centres / spreads)
        fitted = fitted.model_copy(
            update={
                "centres": tuple(tuple(map(_rounded, centre.tolist())) for centre in centres),
                "spreads": tuple(map(_rounded, spreads.tolist())),
                "distance_mean": _rounded(float(distances.mean())),
                "distance_spread": _rounded(max(float(distances.std()), _LEAST)),
            }
        )
    values = OodScorer(fitted).values(features, logits)
    quantiles = tuple(round(float(value), 4) for value in np.percentile(values, range(101)))
    return fitted.model_copy(update={"quantiles": quantiles})


def _energies(logits: Floats) -> Floats:
    highest = logits.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=1)), np.float32)


def _distances(features: Floats, centres: Floats) -> Floats:
    """Squared, of each of the features (images, units) to the nearest of `centres` (classes, units)."""
    nearness = features @ centres.T - (centres**2).sum(axis=1) / 2
    return np.asarray((features**2).sum(axis=1) - 2 * nearness.max(axis=1), np.float32)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")

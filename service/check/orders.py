"""Which output of the model is which subfolder: by name, in an order that programs use, or as the pictures suggest.

Knows no model.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_MOST_CLASSES_TO_ASSIGN = 200


class Order(NamedTuple):
    """For each subfolder the place of its output, and in words why.

    `suggested`: by the pictures themselves, so that how many are right must be counted on other pictures.
    """

    words: str
    outputs: tuple[int, ...]
    suggested: bool = False


def orders_to_try(folders: Sequence[str], names: Sequence[str]) -> list[Order]:
    """The orders that need no picture, the likeliest first; of a model with the classes `names`.

    None where the folders neither have the classes' names nor are as many as they.
    """
    by_name = _by_name(folders, names)
    if by_name is not None:
        return [Order("by name", by_name)]
    numbers = [re.findall(r"\d+", folder) for folder in folders]
    numbered = all(numbers)
    if len(folders) != len(names):
        places = tuple(int(number[0]) for number in numbers) if numbered else ()
        fitting = len(set(places)) == len(folders) and max(places, default=0) < len(names)
        return [Order("by number", places)] if fitting and all(map(str.isdecimal, folders)) else []
    places = tuple(range(len(folders)))
    orders = [Order("alphabetical", places)]
    if numbered:
        ranked = sorted(places, key=lambda place: [int(number) for number in numbers[place]])
        orders.append(Order("numeric", tuple(ranked.index(place) for place in places)))
    if len(folders) == 2:
        orders.append(Order("reversed", (1, 0)))
    return [order for place, order in enumerate(orders) if order.outputs not in {one.outputs for one in orders[:place]}]


def suggested(scores: Floats, labels: npt.NDArray[np.intp], folders: int) -> tuple[int, ...] | None:
    """The output for each of so many folders whose scores (pictures, classes) fit the `labels` best.

    The pair with the largest mean score first, then the largest of the rest: of a model that is worth serving the pairs
    stand out, and the best sum of all is no other. None where a folder has no picture, or they are too many.
    """
    counts = np.bincount(labels, minlength=folders)
    if not counts.all() or max(folders, scores.shape[1]) > _MOST_CLASSES_TO_ASSIGN or folders > scores.shape[1]:
        return None
    means = np.zeros((folders, scores.shape[1]))
    np.add.at(means, labels, scores)
    means /= counts[:, np.newaxis]
    outputs = [0] * folders
    for _ in range(folders):
        folder, output = np.unravel_index(np.argmax(means), means.shape)
        outputs[folder] = int(output)
        means[folder], means[:, output] = -1, -1
    return tuple(outputs)


def _by_name(folders: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    known = {_plain(name): place for place, name in enumerate(names)}
    places = [known.get(_plain(folder)) for folder in folders]
    found = tuple(place for place in places if place is not None)
    return found if len(set(found)) == len(folders) else None


def _plain(name: str) -> str:
    """Without what file systems and people write differently: `T-shirt/top` is `t_shirt_top`."""
    return re.sub(r"[\W_]+", " ", name).strip().casefold()

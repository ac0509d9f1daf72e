"""Which of the combinations is best, and what of it the pictures tell with certainty. Knows no Keras and no table.

Two combinations are compared on the same pictures: by McNemar's exact test (McNemar, Psychometrika 12, 1947) on those
that only one of them has right, and, as several often have the same right, by a paired test on the log-likelihoods.
"""

from collections.abc import Mapping, Sequence
from math import comb, exp, lgamma, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from models.card import ImageInput
from service.check.hypotheses import pixels_of
from service.check.orders import Order
from service.check.scoring import Result

# So that with the few values of five fields about one check of twenty takes chance for a difference.
_ONE_IN = 100
_LEVEL = 1 / _ONE_IN
FIELDS = ("pixels", "channel_order", "fit", "interpolation", "class_names")


class Judgement(NamedTuple):
    """The results, the best first; what is `chosen` of them; and what is `assumed`, as long as nothing is changed.

    `told`: the fields of FIELDS of which the pictures say with certainty that they are as in `chosen`; `open`: those of
    which they do not, with all values that are as well possible; `by_normalization`: those for which that decided.
    None of these has a field of which one value was tried.
    `better_than_chance`: whether `chosen` is; it is what is assumed where nothing is.
    """

    ranked: tuple[Result, ...]
    chosen: Result
    assumed: Result
    told: tuple[str, ...]
    by_normalization: tuple[str, ...]
    open: dict[str, tuple[str, ...]]
    better_than_chance: bool

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields in which what is chosen differs from what is assumed."""
        return tuple(field for field in FIELDS if value_of(field, self.chosen) != value_of(field, self.assumed))


def value_of(field: str, result: Result) -> str:
    """A field of FIELDS in words; of the class names, how they are ordered."""
    taken = result.input
    if field == "class_names":
        return result.order.words
    return pixels_of(taken) if field == "pixels" else str(getattr(taken, field))


def judged(
    results: Sequence[Result],
    assumed: tuple[ImageInput, Order | None],
    most_frequent: float,
    opinion: Mapping[str, str | None],
) -> Judgement:
    """What `results`, at least one, say. `most_frequent`: the share of the class that has the most pictures.

    Of all combinations that cannot be told from the best one, those remain that agree with `opinion`, by what else is
    known of a field; and of these that is chosen which changes least of what is assumed.
    """
    ranked = sorted(results, key=lambda one: (-one.right_count, round(one.cross_entropy, 2)))
    taken, order = assumed
    current = next((one for one in ranked if one.input == taken and (order is None or one.order == order)), ranked[-1])
    if not _better_than_chance(ranked[0], most_frequent, len(ranked)):
        return Judgement(tuple(ranked), current, current, (), (), {}, better_than_chance=False)
    top = ranked[0]
    best = min((one for one in ranked if not _fewer_right(one, top)), key=lambda one: one.cross_entropy)
    tied = [one for one in ranked if one is best or not is_worse(one, best)]
    several = [field for field in FIELDS if len(_values(field, ranked)) > 1]
    told = tuple(field for field in several if len(_values(field, tied)) == 1)
    for field, value in opinion.items():
        tied = [one for one in tied if value_of(field, one) == value] or tied
    settled = tuple(field for field in several if field not in told and len(_values(field, tied)) == 1)
    chosen = min(tied, key=lambda one: (_changes(one, current), round(one.cross_entropy, 2)))
    return Judgement(
        tuple(ranked),
        chosen,
        current,
        told,
        settled,
        {field: tuple(sorted(_values(field, tied))) for field in several if field not in told + settled},
        better_than_chance=True,
    )


def is_worse(one: Result, other: Result) -> bool:
    """Whether `one` is worse than `other` on the same pictures, and not by chance."""
    if _fewer_right(one, other):
        return True
    return not _fewer_right(other, one) and _less_likely(one, other)


def _values(field: str, results: Sequence[Result]) -> set[str]:
    return {value_of(field, one) for one in results}


def _changes(one: Result, current: Result) -> tuple[int, bool]:
    return sum(value_of(field, one) != value_of(field, current) for field in FIELDS), one.order.suggested


def _fewer_right(one: Result, other: Result) -> bool:
    """McNemar's exact test, two-sided."""
    only_one, only_other = int((one.right & ~other.right).sum()), int((other.right & ~one.right).sum())
    differing = only_one + only_other
    if only_one >= only_other:
        return False
    tail = sum(comb(differing, count) for count in range(only_one + 1))
    return bool(2 * tail * _ONE_IN < 2**differing)


def _less_likely(one: Result, other: Result) -> bool:
    """A paired z test, two-sided, of the log-likelihoods."""
    differences = other.likelihoods - one.likelihoods
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    mean = float(differences.mean())
    if mean <= 0 or spread == 0:
        return False
    return 2 * (1 - NormalDist().cdf(mean / spread * sqrt(len(differences)))) < _LEVEL


def _better_than_chance(result: Result, most_frequent: float, tried: int) -> bool:
    """Whether so many right are more than a model has that always names one class, the best of all that were tried."""
    count, right = len(result.right), result.right_count
    if most_frequent == 1:
        return False
    tail = sum(exp(_log_binomial(many, count, most_frequent)) for many in range(right, count + 1))
    return tail < _LEVEL / tried


def _log_binomial(many: int, count: int, share: float) -> float:
    ways = lgamma(count + 1) - lgamma(many + 1) - lgamma(count - many + 1)
    return ways + many * log(share) + (count - many) * log(1 - share)

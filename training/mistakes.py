"""A page of the worst mistakes on the test images, on which a wrong label or a poor picture is seen at once.

One file that needs no other and no network. Knows no Keras.
"""

import base64
import io
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.printable import printable
from training.calibration import Probabilities
from training.data import Labels, Split

_MOST_MISTAKES, _FEW_OF_A_PAIR = 100, 3
_MOST_LETTERS = 80
# Larger pictures lose nothing that is seen by JPEG, and the page stays at about 2 MB whatever they show.
_CRISP_EDGE, _MOST_EDGE, _JPEG_QUALITY = 64, 160, 75

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Worst mistakes on $data</title>
<style>
:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #14181d);
  --card: light-dark(#ffffff, #1d232a);
  --ink: light-dark(#1b2530, #e8edf2);
  --quiet: light-dark(#55616e, #a9b4bf);
  --line: light-dark(#d5dbe1, #3a444f);
  --wrong: light-dark(#a3241b, #ff9d93);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 16px; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
p { margin: 4px 0; max-width: 70ch; }
.quiet { color: var(--quiet); font-size: 0.9rem; }
ol { list-style: none; margin: 16px 0; padding: 0; display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(165px, 45%), 1fr)); }
li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 8px; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: 6px; }
img.crisp { image-rendering: pixelated; }
dl { display: grid; grid-template-columns: 1fr max-content; gap: 0 8px; margin: 8px 0 0; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
dt { grid-column: 1 / -1; color: var(--quiet); font-size: 0.8rem; }
dd { margin: 0; }
dd:nth-of-type(even) { text-align: right; }
.answer { color: var(--wrong); font-weight: 600; }
</style>
</head>
<body>
<main>
<h1>Worst mistakes on $data</h1>
<p>$counts</p>
$mistakes
</main>
</body>
</html>
""")


class Mistake(NamedTuple):
    """A wrong answer: the index of the test image, and those of its class and of the class that was answered."""

    image: int
    label: int
    answer: int


def worst_mistakes(labels: Labels, probabilities: Probabilities) -> list[Mistake]:
    """The wrong answers to show, the most confident one first, of (count,) labels and (count, classes) probabilities.

    At most 100, and so few of each pair of class and answer that one confusion does not take the place of others.
    """
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")]
    mistakes = [Mistake(int(image), int(labels[image]), int(answers[image])) for image in wrong]
    seen: dict[tuple[int, int], int] = dict.fromkeys(((one.label, one.answer) for one in mistakes), 0)
    most_of_a_pair = max(_FEW_OF_A_PAIR, _MOST_MISTAKES // max(1, len(seen)))
    chosen = []
    for mistake in mistakes:
        pair = mistake.label, mistake.answer
        seen[pair] += 1
        if seen[pair] <= most_of_a_pair:
            chosen.append(mistake)
    return chosen[:_MOST_MISTAKES]


def mistakes_page(split: Split, probabilities: Probabilities) -> str:
    """The page as HTML, of the probabilities (count, classes) for the test images of `split`."""
    total, mistakes = len(split.test_labels), worst_mistakes(split.test_labels, probabilities)
    wrong = int(np.sum(probabilities.argmax(axis=1) != split.test_labels))
    counts = f"{total - wrong:,} of {total:,} test images are answered right: an accuracy of {1 - wrong / total:.4f}. "
    if not mistakes:
        counts += "There is no mistake."
    elif len(mistakes) == wrong:
        counts += f"Here {'is the mistake' if wrong == 1 else f'are all {wrong} mistakes'}, the most confident first."
    else:
        counts += (
            f"Here are {len(mistakes)} of the {wrong:,} mistakes, the most confident first, and only a few of each "
            "pair of classes."
        )
    shown = "\n".join(_item(split, mistake, probabilities[mistake.image]) for mistake in mistakes)
    return _PAGE.substitute(data=_text(split.name), counts=counts, mistakes=f"<ol>\n{shown}\n</ol>" if mistakes else "")


def _item(split: Split, mistake: Mistake, probabilities: npt.NDArray[np.float32]) -> str:
    source, look = _data_url(split.test_pictures[mistake.image])
    label, answer = (_text(split.class_names[index]) for index in (mistake.label, mistake.answer))
    name = split.test_files[mistake.image].name if split.test_files else f"test image {mistake.image}"
    return (
        f'<li><img{look} src="{source}" alt="{label}, taken for {answer}">\n'
        f'<dl><dt>answer</dt><dd class="answer">{answer}</dd><dd>{_percent(probabilities[mistake.answer])}</dd>\n'
        f"<dt>true class</dt><dd>{label}</dd><dd>{_percent(probabilities[mistake.label])}</dd></dl>\n"
        f'<p class="quiet">{_text(name)}</p></li>'
    )


def _data_url(picture: npt.NDArray[np.uint8]) -> tuple[str, str]:
    """The picture, uint8 (height, width, channels), for `src`, and the attribute by which a small one stays crisp."""
    image, content = Image.fromarray(picture.squeeze(axis=-1) if picture.shape[-1] == 1 else picture), io.BytesIO()
    if max(image.size) <= _CRISP_EDGE:
        image.save(content, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}", ' class="crisp"'
    image.thumbnail((_MOST_EDGE, _MOST_EDGE))
    image.save(content, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}", ""


def _percent(probability: float) -> str:
    return f"{100 * float(probability):.1f}%"


def _text(name: str) -> str:
    """A name of others, for HTML: on one line, not too long, and never markup."""
    shown = printable(name)
    return escape(shown if len(shown) <= _MOST_LETTERS else f"{shown[: _MOST_LETTERS - 1]}…")


def write_mistakes(path: Path, split: Split, probabilities: Probabilities) -> None:
    """Write the page to `path`. Raises OSError."""
    path.write_text(mistakes_page(split, probabilities), encoding="utf-8")

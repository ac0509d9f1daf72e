"""The command line of the robustness test: how a model file does on pictures that look like people's own."""

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.card import ModelFileError, PictureInput, Share, read_card
from models.picture import Pixels, open_picture, prepare, scaled
from training.errors import TrainingError

_PLENTY_OF_PIXELS = 25_000_000


class EvaluationSettings(BaseSettings):
    """Judge a model file by pictures made from Fashion-MNIST's test set, one kind of difficulty at a time."""

    model_config = SettingsConfigDict(
        env_prefix="EVALUATION_", cli_prog_name="make evaluate", cli_kebab_case=True, cli_hide_none_type=True
    )

    model: Annotated[Path, Field(description="the model file to judge")] = Path("models/best-cnn-model.h5")
    pictures: Annotated[int, Field(ge=1, le=10_000, description="how many test pictures each kind is made of")] = 1000
    seed: Annotated[int, Field(ge=0, description="seed of sizes, colours, places and noise")] = 0
    data_dir: Annotated[Path | None, Field(description="folder of the four Fashion-MNIST files")] = None
    output: Annotated[Path | None, Field(description="file for the figures as JSON")] = None


class KindFigures(BaseModel):
    """How one kind of pictures was answered."""

    accuracy: Share
    agreement: Annotated[Share, Field(description="share of answers that are the same as for the clean picture")]


def main() -> None:
    """Run `make evaluate`. Exits with 1 where the model or the data cannot be read, 2 for wrong settings."""
    try:
        settings = EvaluationSettings(_cli_parse_args=True)
    except ValidationError as error:
        texts = (f"--{str(part['loc'][0]).replace('_', '-')}: {part['msg']}" for part in error.errors())
        print(f"make evaluate: {'; '.join(texts)}", file=sys.stderr)
        sys.exit(2)
    try:
        figures = evaluate_kinds(settings)
    except (ModelFileError, TrainingError) as error:
        print(f"make evaluate: {error}", file=sys.stderr)
        sys.exit(1)
    if settings.output:
        content = {name: figures_of.model_dump() for name, figures_of in figures.items()}
        settings.output.write_text(json.dumps({"pictures": settings.pictures, "kinds": content}, indent=2) + "\n")
    Console().print(figures_table(figures))


def evaluate_kinds(settings: EvaluationSettings) -> dict[str, KindFigures]:
    """The figures of each kind of pictures. Raises ModelFileError or DataError."""
    card = read_card(settings.model)
    if card is None:
        raise ModelFileError(f"{settings.model} has no card; give one that was made by `make train`")
    # TensorFlow takes seconds to import: --help and wrong settings should not wait for it.
    import keras  # noqa: PLC0415

    from training.data import load_fashion_mnist  # noqa: PLC0415
    from training.robustness import KINDS  # noqa: PLC0415

    split = load_fashion_mnist(settings.data_dir, 0.5, 0)
    network = keras.saving.load_model(settings.model, compile=False)
    thumbnails, labels = split.test_pictures[: settings.pictures, ..., 0], split.test_labels[: settings.pictures]
    clean: np.ndarray | None = None
    figures = {}
    for name, make in KINDS.items():
        contents = (
            make(thumbnail, np.random.default_rng([settings.seed, number]))
            for number, thumbnail in enumerate(thumbnails)
        )
        seen = [_seen(content, card.input) for content in track(contents, f"{name:20}", len(thumbnails))]
        answers = network.predict(scaled(np.stack(seen), card.input), batch_size=256, verbose=0).argmax(axis=1)
        clean = answers if clean is None else clean
        figures[name] = KindFigures(
            accuracy=float(np.mean(answers == labels)), agreement=float(np.mean(answers == clean))
        )
    return figures


def figures_table(figures: dict[str, KindFigures]) -> Table:
    """For the terminal."""
    table = Table("pictures", "accuracy", "as for the clean one", title="Robustness", title_justify="left")
    for name, kind in figures.items():
        table.add_row(name, f"{kind.accuracy:.3f}", f"{kind.agreement:.3f}")
    accuracies = [kind.accuracy for kind in figures.values()]
    table.add_section()
    table.add_row("mean", f"{np.mean(accuracies):.3f}", "")
    table.add_row("worst", f"{min(accuracies):.3f}", "")
    return table


def _seen(content: bytes, wanted: PictureInput) -> Pixels:
    return prepare(open_picture(content, _PLENTY_OF_PIXELS), wanted)


if __name__ == "__main__":
    main()

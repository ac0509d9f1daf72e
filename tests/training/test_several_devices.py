"""What docs/training.md says about several GPUs, on a processor that is split into two devices."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from models.card import read_card
from tests.samples import ROOT, SAMPLE_FILES

TWO_DEVICES = """
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
ON_BOTH = 'MirroredStrategy(["CPU:0", "CPU:1"])'


def test_the_four_lines_fit_a_network_on_two_devices(tmp_path: Path) -> None:
    for file in SAMPLE_FILES:
        kind = tmp_path / "data" / file.stem.rpartition("-")[0]
        kind.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, kind)
    section = (ROOT / "docs" / "training.md").read_text().partition("## Several GPUs")[2]
    (lines,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    program = TWO_DEVICES + lines.replace("MirroredStrategy()", ON_BOTH)
    assert ON_BOTH in program
    told = "print(tf.distribute.get_strategy().num_replicas_in_sync, 'devices')"
    program = program.replace("\nmain()", f"\n{told}\nmain()")
    options = ["--data", "data", "--image-size", "28", "--channels", "1", "--filters", "4", "--dense", "8"]
    options += ["--epochs", "1", "--output", "model.h5", "--runs-dir", "runs"]
    finished = subprocess.run(
        [sys.executable, "-c", program, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "2 devices" in finished.stdout
    card = read_card(tmp_path / "model.h5")
    assert card is not None
    assert len(card.class_names) == 10

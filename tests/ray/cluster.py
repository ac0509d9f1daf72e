"""A Ray of this machine with the recipe on it, until its standard input ends. Run in the environment `.venv-ray`.

python -m tests.ray.cluster PORT REPLICAS FOLDER
"""

import sys
import tempfile

import ray
from ray import serve

from deploy.ray_serve import deployment


def main() -> None:
    port, replicas, folder = sys.argv[1:]
    # A Unix socket's path may have 107 characters, and Ray puts its own into this folder.
    with tempfile.TemporaryDirectory(dir=folder, prefix="r") as place:
        ray.init(num_cpus=int(replicas), include_dashboard=False, log_to_driver=False, _temp_dir=place)
        serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
        serve.run(deployment.options(num_replicas=int(replicas)).bind())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()

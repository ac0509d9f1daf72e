# The service in a container: docker build -t keras-image-service . (for a GPU: --build-arg DEVICE=gpu)
FROM python:3.12-slim-bookworm AS build
ARG DEVICE=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Nothing is installed once the service runs, so its environment has no pip; the one of this stage fills it.
RUN python3 -m venv --without-pip /opt/venv
COPY requirements/${DEVICE}.txt /src/requirements.txt
RUN python3 -m pip --python /opt/venv/bin/python install --no-deps --require-hashes -r /src/requirements.txt
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY models/*.py models/py.typed models/
COPY training training
COPY service service
# Compiling against TensorFlow takes 350 MB; running it does not.
RUN python3 -m pip --python /opt/venv/bin/python install --no-deps --no-build-isolation . \
    && rm -r /opt/venv/lib/python3.*/site-packages/tensorflow/include /opt/venv/lib/python3.*/site-packages/clang
COPY models/best-cnn-model.h5 /models/best-cnn-model.h5
# Converted here, the model is served without TensorFlow's seconds; its owner is root, so the service believes it.
RUN SERVICE_CACHE_DIR=/opt/converted HOME=/tmp /opt/venv/bin/cnn-convert /models/best-cnn-model.h5 \
    && chmod -R a+rX /opt/converted

FROM python:3.12-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends graphviz \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin service
COPY --from=build /opt/venv /opt/venv
COPY --from=build /models /models
COPY --from=build /opt/converted /opt/converted
# All that is written goes to /tmp, so that the root can be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    KERAS_HOME=/tmp/keras \
    HOME=/tmp \
    SERVICE_HOST=0.0.0.0 \
    SERVICE_PORT=8000 \
    SERVICE_MODEL_PATH=/models/best-cnn-model.h5 \
    SERVICE_CACHE_DIR=/opt/converted \
    TRAINING_OUTPUT=/models/best-cnn-model.h5 \
    TRAINING_RUNS_DIR=/tmp/runs
WORKDIR /tmp
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SERVICE_PORT'] + '/health/ready', timeout=3)"]
ENTRYPOINT ["cnn-serve"]

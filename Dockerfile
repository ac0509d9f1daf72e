# The service in a container: docker build -t keras-image-service . (for a GPU: --build-arg DEVICE=gpu)
# A tag may be moved. To build from what was tried name the image by its digest, as the workflow for images does:
# --build-arg BASE=python:3.12-slim-trixie@sha256:…
ARG BASE=python:3.12-slim-trixie

FROM ${BASE} AS build
ARG DEVICE=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
# Nothing is installed once the service runs, so its environment has no pip; the one of this stage fills it.
RUN python3 -m venv --without-pip /opt/venv
COPY requirements/${DEVICE}.txt /src/requirements.txt
# What was fetched once is kept beside the image, for the next build.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m pip --python /opt/venv/bin/python install --no-deps --require-hashes -r /src/requirements.txt
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY models/*.py models/py.typed models/
COPY training training
COPY service service
# Compiling against TensorFlow takes 350 MB; running it does not.
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-build-isolation . \
    && rm -r /opt/venv/lib/python3.*/site-packages/tensorflow/include /opt/venv/lib/python3.*/site-packages/clang
COPY models/best-cnn-model.h5 /models/best-cnn-model.h5
# Converted here, the model is served without TensorFlow's seconds; its owner is root, so the service believes it.
RUN SERVICE_CACHE_DIR=/opt/converted HOME=/tmp /opt/venv/bin/cnn-convert /models/best-cnn-model.h5 \
    && chmod -R a+rX /opt/converted

FROM ${BASE}
# Python's own modules come uncompiled, and the root is read-only: each start would compile them anew, for 0.3 s or more.
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update \
    && apt-get install -y --no-install-recommends graphviz \
    && rm -rf /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin service \
    && python3 -m compileall -q -x 'site-packages|/test|/idlelib|/lib2to3' "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /models /models
COPY --from=build /opt/converted /opt/converted
# SageMaker names a port only to images that say they heed it.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
# All that is written goes to /tmp, so that the root can be read-only. Neither port nor model is set: clouds name them by
# variables of their own, which SERVICE_PORT and SERVICE_MODEL_PATH would come before.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    KERAS_HOME=/tmp/keras \
    HOME=/tmp \
    SERVICE_HOST=0.0.0.0 \
    SERVICE_CACHE_DIR=/opt/converted \
    TRAINING_OUTPUT=/models/best-cnn-model.h5 \
    TRAINING_RUNS_DIR=/tmp/runs
WORKDIR /
USER 10001
EXPOSE 8000 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; names = 'SERVICE_PORT AIP_HTTP_PORT SAGEMAKER_BIND_TO_PORT PORT'; port = next(filter(None, map(os.environ.get, names.split())), '8000'); r.urlopen(f'http://127.0.0.1:{port}/health/ready', timeout=3)"]
ENTRYPOINT ["cnn-serve"]
# Last, so that another revision makes no other layer.
ARG VERSION=0.2.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="keras-image-service" \
      org.opencontainers.image.description="Serves a Keras image classifier over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

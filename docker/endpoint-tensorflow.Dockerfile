# The endpoint server with TensorFlow: docs/endpoint.md says how it is built and run.
#
#     docker build --file docker/endpoint-tensorflow.Dockerfile --tag endpoint-tensorflow .
#
# Its environment is what “make endpoint” makes; tests/test_docker.py holds the two together.

FROM python:3.11.15-slim-trixie AS environment
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY endpoint/requirements.txt endpoint/requirements.txt
RUN python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r endpoint/requirements.txt && \
    python -m pip uninstall --yes --quiet pip
COPY modelarchive modelarchive
COPY endpoint endpoint
# The file system may be read-only where it runs, so nothing is compiled there.
RUN python -m compileall -q modelarchive endpoint

FROM python:3.11.15-slim-trixie
# SageMaker's documentation asks for root: build with --build-arg RUN_AS=root for it. Elsewhere it need not be.
ARG RUN_AS=endpoint
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel && \
    useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin endpoint
COPY --from=environment /opt/venv /opt/venv
COPY --from=environment /srv/endpoint /srv/endpoint
COPY --from=environment /srv/modelarchive /srv/modelarchive
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENDPOINT_ENGINE=tensorflow \
    ENDPOINT_HOST=0.0.0.0 \
    ENDPOINT_PORT=8080
USER ${RUN_AS}
EXPOSE 8080
# Until the model is loaded, /ping answers 503.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ping', timeout=2)"]
# The package is at /opt/ml/model, unpacked, where SageMaker puts it; “serve” is the word that it starts containers with.
ENTRYPOINT ["python", "-m", "endpoint.server"]
CMD ["serve"]

# The site: web server, workers and their clock are this image with other commands; docker/compose.yaml has them.
#
#     docker build --file docker/site.Dockerfile --tag lookalike-site .
#
# Its environment is what “make setup” makes; tests/test_docker.py holds the two together.

FROM python:3.11.15-slim-trixie AS environment
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt requirements.txt
RUN python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements.txt && \
    python -m pip uninstall --yes --quiet pip
COPY manage.py manage.py
COPY catalogue catalogue
COPY demo demo
COPY deploy deploy
COPY evaluation evaluation
COPY resilience resilience
COPY jobs jobs
COPY locale locale
COPY modelarchive modelarchive
COPY search search
COPY static static
COPY templates templates
COPY visualsearch visualsearch
# The file system may be read-only where it runs: compiled code, static files and translations are in the image.
RUN DATA_DIR=/tmp/building STATIC_ROOT=/srv/staticfiles python manage.py collectstatic --no-input --verbosity 0 && \
    rm -r /tmp/building && \
    python -m compileall -q .

FROM python:3.11.15-slim-trixie
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel && \
    useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin site && \
    mkdir /data && chown site /data
COPY --from=environment /opt/venv /opt/venv
COPY --from=environment /srv /srv
WORKDIR /srv
# What is written goes to DATA_DIR and /tmp: a volume where it is to stay, a tmpfs where all state is elsewhere.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    STATIC_ROOT=/srv/staticfiles \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py"]

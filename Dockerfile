# One image for all services; the command selects which: `run ingest`, `run mapper`, `run writer`, `topics apply`,
# `store migrate`, `sandbox`, or any other command of `hub`.
#
#   docker build -t halo-hub .
#   docker build --target sbom --output dist .      # the image's list of parts as a file
#
# BASE is any image with `python` 3.11 or newer, its venv and pip. For a build that can be repeated to the byte name it
# by digest. Packages come from the index that the secrets `pip` (a pip.conf) and `ca` (a CA bundle) lead to, else from
# the default one; neither is kept in the image.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0
WORKDIR /src
RUN python -m venv --without-pip /opt/hub && python -m venv /opt/tools

COPY requirements/build.txt requirements/image.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/run/secrets/ca.pem \
    python -m pip --python /opt/tools/bin/python install --require-hashes --only-binary :all: \
        -r requirements/build.txt -r requirements/image.txt \
    && python -m pip --python /opt/hub/bin/python install --require-hashes --only-binary :all: \
        -r requirements/runtime.txt

COPY pyproject.toml README.md ./
COPY schemas schemas
COPY halo halo
COPY hub hub
COPY services services
COPY sandbox sandbox
COPY cli cli
COPY deploy/docker/compile.py /opt/tools/
# No time of this build gets into what it makes: not into the wheel, the byte code, or a file's own dates.
ARG SOURCE_DATE_EPOCH=315532800
RUN SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} /opt/tools/bin/python -m pip wheel --no-deps --no-build-isolation \
        --wheel-dir /dist . \
    && python -m pip --python /opt/hub/bin/python install --no-deps --no-index /dist/*.whl \
    && /opt/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
        --output-reproducible --of JSON -o /opt/hub/sbom.cdx.json /opt/hub/bin/python \
    && /opt/hub/bin/python /opt/tools/compile.py /opt/hub/lib \
    && install -d /image/opt /image/var/lib && install -d -m 1777 /image/var/lib/hub && mv /opt/hub /image/opt/ \
    && find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM scratch AS sbom
COPY --from=build /image/opt/hub/sbom.cdx.json /

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="halo-hub" \
      org.opencontainers.image.description="An event-sourced integration hub for HaloPSA, on Kafka" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# /opt/hub, and /var/lib/hub for a volume. Besides that volume only /tmp is ever written to.
COPY --from=build /image /
ENV PATH=/opt/hub/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HUB_HTTP_HOST=0.0.0.0 \
    HUB_HEALTH_HOST=0.0.0.0 \
    HUB_TENANTS_DIR=/etc/hub/tenants \
    HUB_PRODUCERS_FILE=/etc/hub/producers.yaml
USER 10001:10001
EXPOSE 8080 8081
ENTRYPOINT ["hub"]
CMD ["--help"]

# One image for all services: `docker run IMAGE web|worker|schedule|beat|inbox|migrate` (docs/reference/image.md).
# The digest names what the tag was when it was written down; `make image BASE=...` and the deploy workflow may give another.
ARG BASE=python:3.13.12-slim-bookworm@sha256:a58daefb915e1e03ad48f3ca4df8832065412c5c35cacb9d39f4229184de12b6

FROM ${BASE} AS build
# The version that has written uv.lock.
ARG UV_VERSION=0.13.9
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils tini \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir "uv==${UV_VERSION}"
ENV UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --no-install-project
COPY .ci/slim /build/slim
RUN /build/slim /app/.venv
COPY LICENSE ./
COPY core core
# The services have no use for one box and its command. Nothing can be written there later, so byte code is made now.
RUN rm -r core/local core/client core/cli.py pyproject.toml uv.lock \
    && .venv/bin/python -m compileall -q -j0 core

# For compose.yaml alone: what stands in for AWS, with the Lambdas that it runs.
FROM build AS stand-ins
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-install-project
COPY core core
COPY lambdas lambdas
RUN install --directory --owner=10001 --group=10001 /journal
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONUNBUFFERED=1
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8002), 2)"]
ENTRYPOINT ["/usr/bin/tini-static", "--", "python", "-m"]
CMD ["core.local.aws"]

FROM ${BASE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Uptime Monitor" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /usr/bin/tini-static /usr/bin/tini
COPY --from=build /app /app
# The root file system may be read-only; /tmp is all that is written to.
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    METRICS_BIND=0.0.0.0 \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
EXPOSE 8000 9101 9102 9103 9104
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "core.service.health"]
ENTRYPOINT ["/usr/bin/tini", "--", "python", "-m", "core.service"]
CMD ["web"]

# The server in a small image: dependencies by hash, nothing compiled, nobody's root.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements/runtime.txt .
RUN python -m venv /opt/extauthz \
 && /opt/extauthz/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r runtime.txt
COPY extauthz/ /opt/extauthz/lib/python3.11/site-packages/extauthz/
# Compiled here, since the image is read-only where it runs.
RUN /opt/extauthz/bin/python -m compileall -q /opt/extauthz/lib/python3.11/site-packages/extauthz

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="extauthz" \
      org.opencontainers.image.licenses="Apache-2.0"
# The sockets between our own processes are in /run/extauthz. Envoy and extauthz can share one in /run/extauthz-check when
# both run as this user or group: listeners: [{address: "unix:/run/extauthz-check/check.sock"}].
RUN groupadd --gid 65532 extauthz \
 && useradd --uid 65532 --gid 65532 --no-create-home --shell /usr/sbin/nologin extauthz \
 && install -d -o 65532 -g 65532 -m 0700 /run/extauthz \
 && install -d -o 65532 -g 65532 -m 0770 /run/extauthz-check
COPY --from=build /opt/extauthz /opt/extauthz
ENV PATH=/opt/extauthz/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 9191 9464
# SERVING means: up, with a policy, and not draining.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-m", "extauthz", "health", "127.0.0.1:9191"]
ENTRYPOINT ["python", "-m", "extauthz"]
CMD ["serve", "--config", "/etc/extauthz/settings.yaml"]

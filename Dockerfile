# The sidecar's image: the bundles and a Node, nothing else. Runs as uid 1337 with a read-only root; what it writes (access log,
# admin socket) goes where the configuration says. Kubernetes asks /healthz/ready on the status port; Docker asks the binary, which asks
# the admin socket that the configuration names.

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package needs its install script here: the Node that the scripts would fetch is the image's own.
RUN npm ci --ignore-scripts
COPY . .
RUN node tools/bundle.ts

FROM debian:12-slim
RUN useradd --uid 1337 --user-group --no-create-home --shell /usr/sbin/nologin postern \
 && install -d -o postern -g postern -m 0750 /run/postern /var/lib/postern
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/package.json /src/LICENSE /opt/postern/
COPY --from=build /src/bin /opt/postern/bin
COPY --from=build /src/dist /opt/postern/dist
USER 1337:1337
WORKDIR /var/lib/postern
ENV NODE_ENV=production POSTERN_CONFIG=/etc/postern/postern.yaml
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=2 \
  CMD ["/usr/local/bin/node", "/opt/postern/bin/postern.js", "proxy-status", "--ready"]
ENTRYPOINT ["/usr/local/bin/node", "/opt/postern/bin/postern.js"]
CMD ["proxy"]

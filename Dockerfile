# The sidecar's image: the bundles and a Node, nothing else. Runs as uid 1337 with a read-only root; what it writes (access log,
# admin socket) goes where the configuration says. There is no health check here: the platform asks /healthz/ready on the status port.

FROM debian:12-slim AS build
# Node and npm of the distribution are old, but they only have to fetch the pinned ones.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm install --global npm@11 && npm ci
COPY . .
RUN npm run bundle && cp "$(readlink -f node_modules/node/bin/node)" /usr/local/bin/node-26

FROM debian:12-slim
RUN useradd --uid 1337 --user-group --no-create-home --shell /usr/sbin/nologin postern \
 && install -d -o postern -g postern -m 0750 /run/postern /var/lib/postern
COPY --from=build /usr/local/bin/node-26 /usr/local/bin/node
COPY --from=build /src/package.json /src/LICENSE /opt/postern/
COPY --from=build /src/bin /opt/postern/bin
COPY --from=build /src/dist /opt/postern/dist
USER 1337:1337
WORKDIR /var/lib/postern
ENV NODE_ENV=production
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "/opt/postern/bin/postern.js"]
CMD ["proxy", "-c", "/etc/postern/postern.yaml"]

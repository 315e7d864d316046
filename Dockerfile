# Two images from one file:
#   docker build --target external .   ClickHouse runs elsewhere (docker-compose.yml uses this one)
#   docker build .                     with libchdb.so, the embedded ClickHouse (half a gigabyte more)
# Without auth the binary refuses an address that is not loopback, in a container too.
# docker-compose.yml shows a proxy that shares the network; for one container on a Linux
# machine: docker run --network host -v throughline:/data IMAGE serve --data-dir /data

FROM node:22-bookworm-slim AS npm
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=npm /src/node_modules node_modules
RUN go generate ./web/assets && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/throughline ./cmd/throughline

# glibc, which libchdb.so needs, and bash, which the health check of the compose file uses.
FROM debian:bookworm-slim AS external
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home throughline \
    && install -d -o throughline /data /config
COPY --from=build /out/throughline /usr/local/bin/throughline
USER throughline
WORKDIR /
ENV THROUGHLINE_DATA_DIR=/data THROUGHLINE_CONFIG_DIR=/config
VOLUME /data
ENTRYPOINT ["throughline"]
CMD ["serve"]

FROM external
COPY --from=npm /src/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so /usr/local/bin/libchdb.so

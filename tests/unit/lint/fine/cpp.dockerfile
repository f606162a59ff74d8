FROM debian:trixie AS build
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=tmpfs,target=/tmp \
    apt-get update && apt-get install -y cmake ninja-build g++
WORKDIR /build
COPY . /src
RUN cmake -G Ninja -S /src -B . -DCMAKE_BUILD_TYPE=Release && ninja && ctest || { cat Testing/Temporary/LastTest.log; exit 1; }
RUN make -C /src install DESTDIR=/out; \
    while read -r file; do strip "$file"; done < <(find /out -type f -perm -u+x)

FROM build AS test
RUN ctest --output-on-failure

FROM scratch AS artefacts
COPY --from=build /out /

FROM gcr.io/distroless/base-debian12
COPY --from=artefacts / /
ENTRYPOINT ["/usr/local/bin/tool"]

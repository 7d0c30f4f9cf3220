# For prom/prometheus: Debian's Prometheus, under the names that the official image gives it.
FROM stand-in/debian
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends prometheus wget \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && ln -s /usr/bin/prometheus /usr/bin/promtool /usr/local/bin/ \
    && install -d -o nobody -g nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]

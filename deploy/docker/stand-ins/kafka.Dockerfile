# For apache/kafka: the same release's jars from Maven, on Debian's Java. The image's environment variables are turned
# into a configuration by the class that the official image uses for it, kafka.docker.KafkaDockerWrapper.
FROM stand-in/debian
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 1000 --create-home --shell /bin/bash appuser \
    && install -d -o appuser -g appuser /opt/kafka/config /opt/kafka/logs /var/lib/kafka/data /mnt/shared/config \
        /etc/kafka/docker
COPY libs /opt/kafka/libs
COPY kafka.sh /etc/kafka/docker/run
USER appuser
CMD ["/etc/kafka/docker/run"]

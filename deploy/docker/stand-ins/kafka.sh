#!/usr/bin/env bash
# Writes the configuration that the environment asks for, formats the storage once, and serves.
set -euo pipefail

touch /opt/kafka/config/server.properties
java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup \
    --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config \
    --final-configs-dir /opt/kafka/config 2>&1 | grep -v 'already formatted' || true
# shellcheck disable=SC2086 # several options
exec java ${KAFKA_HEAP_OPTS:-} -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*' kafka.Kafka \
    /opt/kafka/config/server.properties

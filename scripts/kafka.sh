#!/usr/bin/env bash
# Runs a Kafka broker for tests in the foreground: kafka.sh DIR PORT. One node, which is its own controller at PORT+1, listens on
# loopback. DIR keeps its data between runs. Its jars come from Maven Central once, into a cache. With KAFKA_SECURE=1, PORT+2 takes
# SASL (user drift, password secret, by PLAIN and SCRAM-SHA-512; unsigned tokens by OAUTHBEARER) and PORT+3 takes TLS, with the authority in DIR/tls/ca.pem.
# SIGTERM stops it.
set -euo pipefail
dir=$1 port=$2 version=4.4.0
libs=${XDG_CACHE_HOME:-$HOME/.cache}/driftlock/kafka-$version

missing() {
  echo "Kafka cannot run without $1: install it (Debian: apt-get install openjdk-17-jre-headless maven), or set DRIFTLOCK_SKIP_KAFKA=1 to do without" >&2
  exit 1
}
install_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  "$(dirname "${BASH_SOURCE[0]}")/apt-update.sh"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >&2
}
fetch() {
  command -v mvn >/dev/null || install_packages maven openjdk-17-jre-headless
  command -v mvn >/dev/null || missing Maven
  local work=$libs.$$
  mkdir -p "$work"
  # Kafka logs through slf4j 1.7: without a binding its log stays empty.
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>x</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.5</version></dependency>
</dependencies></project>
POM
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars" >&2
  rm -rf "$libs"
  mv "$work/jars" "$libs"
  rm -rf "$work"
}

mkdir -p "$dir" "$(dirname "$libs")"
command -v java >/dev/null || install_packages openjdk-17-jre-headless
command -v java >/dev/null || missing Java
(flock 9 && { [ -d "$libs" ] || fetch; }) 9>"$libs.lock"

secure=${KAFKA_SECURE:+,SASL_PLAINTEXT://127.0.0.1:$((port + 2)),SSL://127.0.0.1:$((port + 3))}
cat >"$dir/log4j2.yaml" <<YAML
Configuration:
  Appenders: {Console: {name: O, PatternLayout: {pattern: "%p %m (%c)%n"}}}
  Loggers: {Root: {level: info, AppenderRef: [{ref: O}]}}
YAML
cat >"$dir/server.properties" <<PROPS
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))$secure
advertised.listeners=PLAINTEXT://127.0.0.1:$port$secure
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
num.network.threads=2
num.io.threads=4
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=1000
# Its default, 128 MB of heap, is what a small heap dies of.
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.threads=1
PROPS
if [ -n "${KAFKA_SECURE:-}" ]; then
  mkdir -p "$dir/tls"
  (
    cd "$dir/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.pem
    openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout broker.key -out broker.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' >san
    openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile san -out broker.pem
    openssl pkcs12 -export -in broker.pem -inkey broker.key -certfile ca.pem -passout pass:changeit -out broker.p12
  ) 2>/dev/null
  cat >>"$dir/server.properties" <<PROPS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_drift="secret";
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.location=$dir/tls/broker.p12
ssl.keystore.password=changeit
ssl.keystore.type=PKCS12
PROPS
fi

jvm=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile="$dir/log4j2.yaml" -cp "$libs/*")
if [ ! -e "$dir/data/meta.properties" ]; then
  "${jvm[@]}" kafka.tools.StorageTool format --config "$dir/server.properties" --cluster-id MkU3OEVBNTcwNTJENDM2Qk \
    --ignore-formatted ${KAFKA_SECURE:+--add-scram 'SCRAM-SHA-512=[name=drift,password=secret]'} >&2
fi
exec "${jvm[@]}" -Xmx256m -XX:+ExitOnOutOfMemoryError kafka.Kafka "$dir/server.properties"

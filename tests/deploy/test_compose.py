"""The compose file starts what the hub has, in an order that can end well, and opens nothing to other machines."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from cli.main import run
from hub.settings import Settings
from hub.tenants.load import accept, from_text
from services.ingest.producers import parse
from tests.deploy.docker_files import ROOT, compose, dockerfile, hub_commands, jobs, services, variables
from tests.deploy.k8s_commands import parsed
from tests.support.kafka import KAFKA_VERSION

DEMO = ROOT / "deploy" / "docker" / "demo"
STAND_INS = ROOT / "deploy" / "docker" / "stand-ins"
EVIDENCE = ROOT / "docs" / "evidence" / "compose.md"
ONE_SHOT = "ready"
OWN_IMAGE = {*hub_commands(), "certificate", ONE_SHOT}
TAKES_EVENTS, TALKS_TO_HALO = "ingest", ("ingest", "writer")


def mounts(service: str) -> Iterator[tuple[str, str, bool]]:
    """Source, target and whether it is read-only."""
    for mount in services()[service].get("volumes", []):
        source, target, *mode = mount.split(":")
        yield source, target, mode == ["ro"]


def environment(service: str) -> dict[str, str]:
    found: dict[str, str] = services()[service].get("environment", {})
    return found


# What runs --------------------------------------------------------------------------------------------------------


def test_the_whole_hub_is_there() -> None:
    wanted = {"kafka", "postgres", "sandbox", "topics", "migrate", "ingest", "mapper", "writer"}
    assert wanted | {"prometheus", "grafana"} <= services().keys()


def test_every_command_is_one_that_hub_takes() -> None:
    commands = hub_commands()
    assert commands.keys() == {"topics", "migrate", "sandbox", "ingest", "mapper", "writer"}
    for arguments in commands.values():
        parsed(arguments)


def test_every_setting_is_one_that_the_hub_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in hub_commands():
        with monkeypatch.context() as patch:
            for name, value in environment(service).items():
                if name.startswith("HUB_"):
                    assert name.removeprefix("HUB_").lower() in Settings.model_fields, name
                    patch.setenv(name, value)
            settings = Settings()
        if service in ("ingest", "mapper", "writer", "topics"):
            assert settings.bootstrap_servers == "kafka:9092"
        if service in ("ingest", "mapper", "writer", "migrate"):
            assert settings.store_url.endswith("@postgres/hub")


def test_the_hubs_image_is_built_from_the_same_base_as_the_dockerfile_says() -> None:
    (base,) = [one.rest for one in dockerfile() if one.word == "ARG" and one.stage == 0]
    for name in OWN_IMAGE:
        assert f"BASE={services()[name]['build']['args']['BASE']}" == base
        assert services()[name]["image"] == "halo-hub:dev"


def test_every_image_is_of_one_release() -> None:
    for name, service in services().items():
        if name not in OWN_IMAGE:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), service["image"]
    assert services()["kafka"]["image"].endswith(f":{KAFKA_VERSION}")


# In what order ----------------------------------------------------------------------------------------------------


def test_everything_that_stays_says_whether_it_is_well() -> None:
    for name, service in services().items():
        ends = name in jobs() or name == ONE_SHOT
        assert ("healthcheck" in service) is not ends, name
        assert ("restart" in service) is not ends, name
        if "healthcheck" in service:
            assert service["healthcheck"]["test"][0] == "CMD"


def test_the_start_is_ordered_and_can_end() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in services().items()}
    assert all(needed in services() for of in waits.values() for needed in of)
    list(TopologicalSorter(waits).static_order())
    for of in waits.values():
        for needed, how in of.items():
            wanted = "service_completed_successfully" if needed in jobs() else "service_healthy"
            assert how["condition"] == wanted
    assert {"kafka", "postgres"} == waits["topics"].keys() | waits["migrate"].keys()
    for service in ("ingest", "mapper", "writer"):
        assert {"topics", "migrate"} <= waits[service].keys()
        assert service in waits[ONE_SHOT]
    assert "certificate" in waits["sandbox"]


def test_a_stop_leaves_time_for_what_is_in_hand() -> None:
    settings = Settings()
    for service in ("ingest", "mapper", "writer"):
        grace_s = int(services()[service]["stop_grace_period"].removesuffix("s"))
        assert grace_s > max(settings.drain_s, 2 * settings.request_timeout_s)


# What it may, and what is seen of it ------------------------------------------------------------------------------


def test_nothing_is_open_to_other_machines() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any(
        {"network_mode", "privileged", "pid", "ipc"} & service.keys() for service in services().values()
    )


def test_nothing_can_gain_rights_or_change_its_own_files() -> None:
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only", False) is (name != "kafka"), name


def test_what_is_mounted_is_there_and_only_read() -> None:
    for name in services():
        for source, _, read_only in mounts(name):
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert read_only, source
            else:
                assert source in compose()["volumes"]


def test_what_comes_from_outside_has_a_default_and_is_named_once() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert len(re.findall(r"(?<!\$)\$\{", text)) == len(re.findall(r"\$\{\w+:-[^}]+\}", text))
    assert variables() >= {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "ACME_HALO_SECRET"}


# The demo ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """The commands at the head of the compose file."""
    lines = (ROOT / "docker-compose.yml").read_text().split("\n\n")[0].splitlines()
    return "\n".join(line.removeprefix("#   ") for line in lines if line.startswith("#   "))


def curl() -> list[str]:
    """The words of the command that publishes the quote."""
    text = commands().replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if "/v1/events" in line)
    return shlex.split(line)


def test_the_quote_is_a_correct_event() -> None:
    words = curl()
    body = words[words.index("--data") + 1]
    assert ROOT / body.removeprefix("@") == DEMO / "quote.json"
    assert run(["event", "validate", str(DEMO / "quote.json")]) == 0
    (port,) = services()[TAKES_EVENTS]["ports"]
    assert f"http://{port.rpartition(':')[0]}/v1/events" in words


def test_the_token_is_the_producers_and_may_publish_the_quote() -> None:
    token = next(word for word in curl() if word.startswith("Authorization")).removeprefix(
        "Authorization: Bearer "
    )
    producer = parse((DEMO / "producers.yaml").read_bytes()).of_token(token)
    assert producer is not None
    assert producer.token_sha256 == (hashlib.sha256(token.encode()).hexdigest(),)
    quote = msgspec.json.decode((DEMO / "quote.json").read_bytes())
    assert quote["source"] == f"/{producer.name}"
    assert quote["tenant"] in producer.tenants


def test_the_tenants_rules_map_the_quote(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "try", str(DEMO / "tenants" / "acme.yaml"), str(DEMO / "quote.json"), "--json"]) == 0
    told = capsys.readouterr().out
    for kind in ("upsert_client", "upsert_opportunity", "upsert_quote"):
        assert kind in told


def test_the_tenants_halo_is_the_sandbox_and_its_secret_is_given() -> None:
    rules = from_text(accept((DEMO / "tenants" / "acme.yaml").read_bytes()).text)
    halo = rules.halo
    assert str(halo.resource_server) == "https://sandbox:8901/api"
    secret = halo.client_secret.removeprefix("env:")
    for service in TALKS_TO_HALO:
        assert secret in environment(service)
        trusted = environment(service)["SSL_CERT_FILE"]
        assert ("sandbox-tls", str(Path(trusted).parent), True) in mounts(service)
        assert ("./deploy/docker/demo", "/etc/hub", True) in mounts(service)
    assert secret not in environment("mapper")


# Prometheus and Grafana -------------------------------------------------------------------------------------------


def test_prometheus_asks_every_service_and_reads_every_rule() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "observability" / "prometheus.yml").read_text())
    asked = {
        name: sd["port"]
        for job in config["scrape_configs"]
        for sd in job["dns_sd_configs"]
        for name in sd["names"]
    }
    assert asked == dict.fromkeys(("ingest", "mapper", "writer"), Settings().health_port)
    (rules,) = config["rule_files"]
    (source,) = (source for source, target, _ in mounts("prometheus") if target == str(Path(rules).parent))
    assert list((ROOT / source).glob(Path(rules).name))
    assert not set((ROOT / source).iterdir()) - set((ROOT / source).glob(Path(rules).name))


def test_grafana_has_its_data_source_and_every_dashboard() -> None:
    provisioning = ROOT / "deploy" / "observability" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "hub.yml").read_text())["providers"]
    (mounted,) = (source for source, to, _ in mounts("grafana") if to == provider["options"]["path"])
    assert list((ROOT / mounted).glob("*.json"))


# The evidence -----------------------------------------------------------------------------------------------------


def test_the_evidence_ran_these_commands() -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", EVIDENCE.read_text(), re.MULTILINE | re.DOTALL)
    ran = "\n".join(blocks).replace("\n> ", "\n").replace("$ ", "")
    for line in commands().splitlines():
        words = line.partition("#")[0].strip().removeprefix("docker compose").strip()
        if words and not words.startswith("up"):
            assert words in ran, words


def test_every_stand_in_is_for_something_that_is_asked_for() -> None:
    given: dict[str, Any] = dict(
        line.split("=", 1) for line in (STAND_INS / "images.env").read_text().splitlines() if "=" in line[:20]
    )
    assert given.keys() <= variables()
    for image in given.values():
        assert (STAND_INS / f"{image.removeprefix('stand-in/')}.Dockerfile").is_file()


@pytest.mark.parametrize("script", sorted(STAND_INS.glob("*.sh")), ids=lambda path: path.name)
def test_a_stand_ins_script_is_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert "set -euo pipefail" in script.read_text()

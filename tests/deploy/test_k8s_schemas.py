"""Every manifest of every overlay is one that Kubernetes, or the operator that reads it, takes."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate import utils as kubernetes

from tests.deploy.k8s_render import K8S, OVERLAYS, Manifest, named, render

pytestmark = pytest.mark.feature("hub.k8s", part="all")
OLDEST = "1.28"
NEWEST = kubernetes.major_minor(kubernetes.latest_version())
SCHEMAS = Path(__file__).parent / "schemas"
EXAMPLES = sorted(K8S.glob("examples/*.yaml"))


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definitions that all schemas share are a megabyte, read anew for each manifest."""
    monkeypatch.setattr(kubernetes, "schema_contents", _schema_contents)


_schema_contents = cache(kubernetes.schema_contents)


@cache
def _own_schema(kind: str) -> Any:
    path = SCHEMAS / f"{kind}.json"
    return json.loads(path.read_text()) if path.exists() else None


def check(manifest: Manifest, version: str) -> None:
    """Raises jsonschema.ValidationError; kubernetes.SchemaNotFoundError for a kind that nobody knows."""
    try:
        kubernetes.validate(manifest, version, strict=True)
    except kubernetes.SchemaNotFoundError:
        schema = _own_schema(manifest["kind"])
        if schema is None:
            raise
        jsonschema.validate(manifest, schema)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid(overlay: str, version: str) -> None:
    manifests = render(overlay)
    assert len(manifests) > 30
    for manifest in manifests:
        try:
            check(manifest, version)
        except jsonschema.ValidationError as error:
            where = f"{manifest['kind']} {manifest['metadata']['name']} at {list(error.path)}"
            raise AssertionError(f"{where}: {error.message}") from None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_every_example_is_valid(example: Path) -> None:
    for manifest in yaml.safe_load_all(example.read_text()):
        check(manifest, OLDEST)


def test_no_kind_passes_unseen() -> None:
    manifest = copy.deepcopy(named("dev", "Deployment", "writer"))
    manifest["apiVersion"], manifest["kind"] = "example.com/v1", "Unheard"
    with pytest.raises(kubernetes.SchemaNotFoundError):
        check(manifest, OLDEST)


def test_a_misspelt_field_is_refused() -> None:
    manifest = copy.deepcopy(named("dev", "Deployment", "writer"))
    manifest["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(jsonschema.ValidationError):
        check(manifest, OLDEST)
    for kind in (path.stem for path in SCHEMAS.glob("*.json")):
        own = next((one for overlay in OVERLAYS for one in render(overlay) if one["kind"] == kind), None)
        if own is not None:
            with pytest.raises(jsonschema.ValidationError):
                check(own | {"spec": own["spec"] | {"misspelt": 1}}, OLDEST)


def test_each_of_our_schemas_is_one_and_is_used() -> None:
    examples = {manifest["kind"] for path in EXAMPLES for manifest in yaml.safe_load_all(path.read_text())}
    seen = {manifest["kind"] for overlay in OVERLAYS for manifest in render(overlay)} | examples
    for path in SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
        assert path.stem in seen


def test_every_file_is_part_of_an_overlay() -> None:
    """By what kustomizations name, from the overlays down."""
    reached: set[Path] = set()

    def follow(directory: Path) -> None:
        path = directory / "kustomization.yaml"
        kustomization = yaml.safe_load(path.read_text())
        reached.add(path)
        for entry in [*kustomization.get("resources", ()), *kustomization.get("components", ())]:
            below = (directory / entry).resolve()
            if below.is_dir():
                follow(below)
            else:
                reached.add(below)
        for generator in kustomization.get("configMapGenerator", ()):
            reached.update((directory / file).resolve() for file in generator.get("files", ()))
        for patch in kustomization.get("patches", ()):
            if "path" in patch:
                reached.add((directory / patch["path"]).resolve())

    for overlay in OVERLAYS:
        follow(K8S / "overlays" / overlay)
    assert {path for path in K8S.rglob("*") if path.is_file()} == reached | set(EXAMPLES)

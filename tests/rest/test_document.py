"""The OpenAPI document: valid, whole, and what the server keeps to."""

import json
import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from puskesmas_queue.rest.api import ENDPOINTS, Api
from support.server import running

EXCLUDED = [positive_data_acceptance]
"""Which unit there is, or whether a reason is needed, no schema says."""
DOCUMENT = Api("Puskesmas Uji").document


def test_the_document_is_valid_openapi():
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_call_is_in_it_with_all_that_it_can_answer():
    described = {
        (method.upper(), path): operation
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert set(described) == {(one.method, one.path) for one in ENDPOINTS}
    for one in ENDPOINTS:
        responses = described[one.method, one.path]["responses"]
        assert {str(status) for status in one.answers} <= set(responses)
        assert {"500", "503", "406", "405"} <= set(responses)
        assert one.is_public or {"401", "403"} <= set(responses)
    names = [one["operationId"] for one in described.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere():
    text = json.dumps(DOCUMENT)
    known = DOCUMENT["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(known)


def test_examples_are_what_their_models_take():
    for one in ENDPOINTS:
        if one.example:
            assert one.body is not None
            one.body.model_validate_json(json.dumps(dict(one.example)))


def test_the_document_is_served(small, caller):
    answer = caller(small).get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The document of a running server, a session, and a token of an administrator."""
    folder = tmp_path_factory.mktemp("fuzz")
    with (
        running(
            "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "demo", folder=folder
        ) as server,
        requests.Session() as session,
    ):
        login = server.login("admin")
        asked = {"username": login["username"], "password": login["password"]}
        given = session.post(f"{server.url}/api/v1/token", json=asked, timeout=60)
        document = schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")
        yield document, session, given.json()["access"]


# A stream never ends; `test_live` reads one.
CALLS = [(one.method, one.path) for one in ENDPOINTS if "live" not in one.path]


@pytest.mark.soak
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_answers_are_those_that_are_described(described, method, path, mode, is_soak):
    """Whatever comes, the server does not fail and answers within its own words."""
    document, session, token = described
    operation = document[path][method]

    @settings(
        max_examples=100 if is_soak else 6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(
            session=session,
            headers={"Authorization": f"Bearer {token}"},
            excluded_checks=EXCLUDED,
            timeout=60,
        )

    ask()

"""Both OpenAPI documents are true: a selection of the requests of `make bench WHAT=api`."""

from pathlib import Path

import httpx
from litestar import Litestar, get

from pipeline.web.auth.access import OPEN
from pipeline.web.http.openapi import config
from pipeline.web.http.problems import HANDLERS, Problem
from tests.contract.openapi import Run, check, installation
from tests.support.servers.browsing import served


def test_a_running_installation_answers_as_its_documents_say(tmp_path: Path) -> None:
    with installation(tmp_path) as runs:
        findings = check(runs, tmp_path, examples=3, seed=1)
    assert [finding.failure for finding in findings] == [None] * 4
    assert sum(finding.cases for finding in findings) > 300


def test_an_undocumented_response_is_found(tmp_path: Path) -> None:
    @get("/missing", opt=OPEN, summary="Never there")
    async def missing() -> str:
        raise Problem(404, "not there")

    app = Litestar([missing], exception_handlers=HANDLERS, openapi_config=config("Test", "key", "a key", OPEN))
    with served(app) as url:
        document = httpx.get(f"{url}/openapi.json").text
        [finding] = check([Run("test", document, url, None, {})], tmp_path, examples=2, seed=1)
    assert finding.failure is not None
    assert "Undocumented status code" in finding.failure

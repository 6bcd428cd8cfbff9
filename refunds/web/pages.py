"""Pages for people: the API document, and the meaning of each problem."""

from flask import Blueprint, Response, current_app, render_template
from werkzeug.exceptions import NotFound

from refunds.web.openapi import Contract
from refunds.web.problem_types import PROBLEMS

blueprint = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

# Redoc writes inline styles and searches in a blob worker; nothing leaves the host.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@blueprint.get("/")
def index() -> Response:
    """Show the index page, with links to everything else."""
    return _page("index.html")


@blueprint.get("/docs")
def docs() -> Response:
    """Show the API document as a page to read."""
    return _page("docs.html", _DOCS_POLICY)


@blueprint.get("/problems/")
def problems() -> Response:
    """Show the list of all types of problems."""
    return _page("problems.html", problems=PROBLEMS)


@blueprint.get("/problems/<slug>")
def problem(slug: str) -> Response:
    """Show the meaning of a type of problem, and the fix. Raises `NotFound` if there is none with this slug."""
    if slug not in PROBLEMS:
        raise NotFound
    return _page("problem.html", slug=slug, problem=PROBLEMS[slug])


@blueprint.get("/openapi.yaml")
def openapi_yaml() -> Response:
    """Return the API document as YAML."""
    return Response(_contract().text, mimetype="application/yaml")


@blueprint.get("/openapi.json")
def openapi_json() -> Response:
    """Return the API document as JSON."""
    return Response(_contract().json, mimetype="application/json")


def _contract() -> Contract:
    """Return the API document of the running application."""
    contract: Contract = current_app.extensions["refunds.contract"]
    return contract


def _page(template: str, policy: str = _PAGE_POLICY, **values: object) -> Response:
    """Render a template to a response with `policy` as its Content-Security-Policy."""
    return Response(render_template(template, **values), headers={"Content-Security-Policy": policy})

"""The page that shows the model to a person: plain files, which ask this service and no other host."""

from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from service.context import context_of
from service.errors import NotFound

WEB = Path(__file__).parent.parent / "web"

# The page's own scripts and styles; images from the person, too, which never leave the page but to this service.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter()
files = StaticFiles(directory=WEB)


@router.get("/", include_in_schema=False)
async def page(request: Request) -> HTMLResponse:
    """The page. Whoever opens it will ask what its images look like inside the model."""
    context = context_of(request)
    with suppress(NotFound):  # the page itself says which model there is not
        context.explained.of(context.prediction.current(request.query_params.get("model"))).warm()
    html = (WEB / "index.html").read_text()
    if root := request.scope["root_path"]:
        # A proxy may show it without the slash at the end, beside which its files would be looked for.
        html = html.replace("<head>", f'<head>\n    <base href="{root}/">', 1)
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})

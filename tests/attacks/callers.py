"""Requests of somebody who has no API key, and text that is meant for a log or a terminal rather than for a person."""

from urllib.parse import quote

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")

# Clears the screen, renames the window, turns reading order round, ends the line, and begins another one.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\x08"
FORGED_LINE = "INFO:     version 000000000000 answers from now on, in place of nothing"


def paths(model: str) -> list[str]:
    """Every kind of path, with the model's name and with wrong ones; an open service names its models at most of them.

    Each is a question that costs an unprotected service its secrets: which models there are, and of which classes.
    """
    calls = (
        "predict", "predict/batch", "embed", "model-summary", "model-card", "plot", "plot/history",
        "plot/confusion-matrix", "plot/kernels", "plot/feature-maps", "plot/attribution", "trace", "metrics",
        "health/live", "health/ready", "docs", "redoc", "openapi.json", "web/app.js", "web/nothing", "", "nothing",
        "web", "health", "health/nothing",
    )  # fmt: skip
    serving = ("", "/", "/x", "/{0}", "/{0}/metadata", "/{0}:predict", "/{0}:classify", "/{0}/versions/1", "/x:predict",
               "/{0}/labels/x", "/{0}/labels/stable")  # fmt: skip
    inference = (
        "", "/", "/models/x", "/models/{0}", "/models/{0}/ready", "/models/{0}/config", "/models/{0}/stats",
        "/models/stats", "/models/{0}/infer", "/models/{0}/versions/x", "/models/{0}/versions/x/infer", "/health/live",
        "/health/ready", "/health/nothing", "/repository/index", "/repository/models/{0}/load",
        "/repository/models/x/load", "/repository/models/{0}/unload",
    )  # fmt: skip
    asked = [f"/{call}{query}" for call in calls for query in ("", "?model=x", f"?model={model}")]
    asked += [f"{prefix}{call.format(model)}" for prefix in ("/v1/models", "/V1/Models") for call in serving]
    asked += [f"/v2{call.format(model)}" for call in inference]
    around = (
        "//model-card", "/health/../model-card", "/health/%2e%2e/model-card", "/web/..%2fmodel-card", "/%6dodel-card",
        "/health/ready;/model-card", "/health%2f..%2fmodel-card", "/docs/../v1/models/x",
    )  # fmt: skip
    return [*asked, *around]


def path_that_forges_a_line() -> str:
    """A path that is two lines, one of them of the service's own form: whoever reads the log believes it."""
    return "/" + quote(f"nothing\n{FORGED_LINE}{ESCAPES}")


def class_names_that_forge_lines() -> tuple[str, str, str]:
    """Names of classes, as a model file may have them, that write what they like into a log, a terminal or a page."""
    return f"cat\n{FORGED_LINE}", f"dog{ESCAPES}", "<img src=x onerror=\"document.title='owned'\">[red]owl[/red]"


def wrong_key(number: int) -> dict[str, str]:
    """One of any number of keys that nobody gave out, to try one after the other."""
    return {"X-API-Key": f"guess-{number}"}

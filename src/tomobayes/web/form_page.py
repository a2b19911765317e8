"""Forms that start jobs: new ones, copies of earlier ones with changes, and those that go on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tomobayes.jobs.parameters import JobParameters, Parameters
from tomobayes.jobs.verbs import VERBS
from tomobayes.project import Job, checkpoints
from tomobayes.web.desk import at, job_of, jobs_of, page, the_desk
from tomobayes.web.fields import every_field, groups_of
from tomobayes.web.forms import Filled, asked_again, filled, to_continue, values_of
from tomobayes.web.inputs import after, offers
from tomobayes.web.launches import find_launch, launch
from tomobayes.web.parameters_of import PARAMETERS_OF, parameters_of

__all__ = ["ROUTES"]

PLAN_SECONDS = 180
MOST_BYTES = 100_000
Values = Mapping[str, str]


def choose(request: Request) -> Response:
    """Every job there is, to choose one."""
    jobs = [(parameters, verb) for parameters, verb in VERBS.items() if issubclass(parameters, JobParameters)]
    kinds = [(parameters.verb, (verb.__doc__ or "").split("\n")[0], parameters.folder) for parameters, verb in jobs]
    return page(request, "choose.html", kinds=kinds)


def new(request: Request) -> Response:
    """A form that is empty but for values that the address gives, or those with which one would follow a job (``after``)."""
    parameters, values = _asked(request), dict(request.query_params)
    feeder = next((job for job in jobs_of(request) if job.name == values.get("after")), None)
    known = {} if feeder is None else after(parameters, feeder, jobs_of(request))
    return _form(request, parameters, filled(parameters, known | values), begun=False)


def again(request: Request) -> Response:
    """A form that asks for what an earlier job did."""
    job = job_of(request)
    parameters = parameters_of(job)
    values = asked_again(job, parameters, the_desk(request).project)
    return _form(request, parameters, filled(parameters, values), begun=False, like=job)


def retry(request: Request) -> Response:
    """The form of a start that came to nothing; of a job that was to go on, the form for that."""
    start = find_launch(the_desk(request).project, request.path_params["key"])
    if start is None or start.words[1] not in PARAMETERS_OF:
        raise HTTPException(404, "There is no such start.")
    if "--continue" in start.words:
        folder = start.directory / start.words[start.words.index("--o") + 1]
        return RedirectResponse(at(os.path.relpath(folder, the_desk(request).project), "continue"), 303)
    parameters = PARAMETERS_OF[start.words[1]]
    return _form(request, parameters, filled(parameters, start.values), begun=False)


def go_on(request: Request) -> Response:
    """A form that continues a job, from one of its checkpoints and with what may be changed about it."""
    job = job_of(request)
    parameters = _continuable(job)
    assert job.record is not None
    values = values_of(parameters, job.record.parameters)
    return _form(request, parameters, Filled(values, (), ()), begun=False, job=job)


async def check(request: Request) -> Response:
    """What is wrong with a form, and the command line it stands for, while it is filled in."""
    parameters, values, job = await _sent(request)
    form, _ = _checked(parameters, values, job)
    return page(request, "check.html", form=form, plan=None)


async def plan(request: Request) -> Response:
    """What the job would take, as ``--plan`` tells."""
    parameters, values, job = await _sent(request)
    form, directory = _checked(parameters, values, job)
    if form.complaints or "plan" not in parameters.model_fields:
        return page(request, "check.html", form=form, plan=None)
    told = await run_in_threadpool(_planned, form.words, directory or the_desk(request).project)
    return page(request, "check.html", form=form, plan=told)


async def start(request: Request) -> Response:
    """Start the job, or show the form again with what is wrong."""
    parameters, values, job = await _sent(request)
    form, directory = _checked(parameters, values, job)
    if form.complaints:
        return await run_in_threadpool(_form, request, parameters, form, begun=True, job=job)
    begun = await run_in_threadpool(launch, the_desk(request).project, form.words, form.values, directory)
    return RedirectResponse(f"/starts/{begun.key}", status_code=303)


def started(request: Request) -> Response:
    """A job on its way; goes to its page as soon as it has one."""
    begun = find_launch(the_desk(request).project, request.path_params["key"])
    if begun is None:
        raise HTTPException(404, "There is no such start.")
    swapped = request.headers.get("hx-request") == "true"
    if begun.job is not None:
        return Response(headers={"HX-Redirect": at(begun.job, "job")}) if swapped else RedirectResponse(at(begun.job, "job"), 303)
    return page(request, "starting.html" if swapped else "started.html", start=begun)


def _asked(request: Request) -> type[Parameters]:
    """The kind of job that an address names; verbs that make no job have no form."""
    parameters = PARAMETERS_OF.get(request.path_params["verb"])
    if parameters is None or not issubclass(parameters, JobParameters):
        raise HTTPException(404, "There is no such kind of job.")
    return parameters


def _continuable(job: Job) -> type[JobParameters]:
    parameters = parameters_of(job)
    if not issubclass(parameters, JobParameters):
        raise HTTPException(400, "Jobs of this kind cannot go on.")
    return parameters


async def _sent(request: Request) -> tuple[type[Parameters], dict[str, str], Job | None]:
    """Whose form was sent, what stands in it, and which job it continues."""
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise HTTPException(413, "This is too much for a form.")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)))
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
    if "verb" in request.path_params:
        return _asked(request), form, None
    job = await run_in_threadpool(job_of, request)
    return _continuable(job), form, job


def _checked(parameters: type[Parameters], values: Values, job: Job | None) -> tuple[Filled, Path | None]:
    if job is None or not issubclass(parameters, JobParameters):
        return filled(parameters, values), None
    return to_continue(job, parameters, values)


def _form(
    request: Request, parameters: type[Parameters], form: Filled, *, begun: bool, job: Job | None = None, like: Job | None = None
) -> Response:
    """The page of a form; complaints show only where it was sent already.

    Parameters
    ----------
    job : to go on with
    like : that it was copied from
    """
    jobs = jobs_of(request)
    content: dict[str, Any] = {
        "verb": parameters.verb,
        "about": next((verb.__doc__ for kind, verb in VERBS.items() if kind is parameters), ""),
        "form": form,
        "groups": groups_of(parameters),
        "offers": {field.name: offers(parameters, field.name, jobs) for field in every_field(groups_of(parameters))},
        "changeable": _changeable(parameters, job),
        "from_iterations": checkpoints(job.folder) if job and "from_iteration" in parameters.model_fields else [],
        "can_plan": "plan" in parameters.model_fields,
        "job": job,
        "like": like,
        "begun": begun,
        "where": at(job.name, "continue") if job else f"/new/{parameters.verb}",
    }
    return page(request, "form.html", 422 if begun else 200, **content)


def _changeable(parameters: type[Parameters], job: Job | None) -> frozenset[str]:
    """Fields that may be filled in: all of a new job, those of a job that goes on that it can still heed."""
    if job is None or not issubclass(parameters, JobParameters):
        return frozenset(parameters.model_fields) - {"from_iteration"}
    return (parameters.may_change | parameters.free_to_change) & frozenset(parameters.model_fields)


def _planned(words: Sequence[str], directory: Path) -> list[str]:
    """What ``--plan`` says, or why it says nothing."""
    command = [sys.executable, "-P", "-m", "tomobayes", *words[1:], "--plan"]
    try:
        told = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PLAN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [f"No plan within {PLAN_SECONDS} s."]
    lines = told.stdout if told.returncode == 0 else told.stderr
    return [line.removeprefix("tomobayes: ") for line in lines.splitlines() if line.strip()]


ROUTES = [
    Route("/new", choose),
    Route("/new/{verb}", new),
    Route("/new/{verb}", start, methods=["POST"]),
    Route("/new/{verb}/check", check, methods=["POST"]),
    Route("/new/{verb}/plan", plan, methods=["POST"]),
    Route("/clone/{name:path}", again),
    Route("/check/continue/{name:path}", check, methods=["POST"]),
    Route("/plan/continue/{name:path}", plan, methods=["POST"]),
    Route("/continue/{name:path}", go_on),
    Route("/continue/{name:path}", start, methods=["POST"]),
    Route("/starts/{key}", started),
    Route("/retry/{key}", retry),
]

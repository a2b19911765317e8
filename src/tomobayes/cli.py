"""The command line: ``tomobayes VERB --i INPUT [--o OUTPUT] [options]``. Thin: options are the fields of `jobs.parameters`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict
from pydantic import ValidationError as ModelError

from tomobayes.jobs.parameters import Parameters
from tomobayes.jobs.parameters.complaints import complaints
from tomobayes.jobs.planned import Planned
from tomobayes.jobs.verbs import VERBS
from tomobayes.model import BadInput, Problem
from tomobayes.web import Gui, gui

__all__ = ["main"]

DONE, FAILED, BAD_INPUT = 0, 1, 2
COMMANDS: Mapping[type[Parameters], Callable[[Any], Path | None]] = {**VERBS, Gui: gui}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 failed or stopped, 2 bad input.

    The last line of standard output is the folder (or file) that was written.
    """
    words = [_with_hyphens(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        written = _app(words)(words, exit_on_error=False, print_error=False, result_action="return_value")
    except Planned as plan:
        print(plan)
        return DONE
    except BadInput as error:
        return _complain(*(_told(problem) for problem in error.problems), code=BAD_INPUT)
    except (CycloptsError, ModelError) as error:
        return _complain(*_option_sentences(error), code=BAD_INPUT)
    except KeyboardInterrupt:
        return _complain("stopped", code=FAILED)
    except Exception as error:
        return _complain(f"failed: {type(error).__name__}: {error}", *getattr(error, "__notes__", ()), code=FAILED)
    if isinstance(written, Path):
        print(written)
    return DONE


def _app(words: Sequence[str]) -> App:
    app = App(
        name="tomobayes",
        help="Bayesian structure determination from cryo-electron tomography tilt series.",
        config=_remembered(words),
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,
    )
    for parameters, verb in COMMANDS.items():
        app.command(_command(parameters, verb), name=parameters.verb)
    return app


def _command(parameters: type[Parameters], verb: Callable[[Any], Path | None]) -> Callable[..., Path | None]:
    def command(*, options: Any = None) -> Path | None:
        return verb(parameters() if options is None else options)

    def command_of_words(options: Any = None) -> Path | None:
        return command(options=options)

    chosen = command_of_words if parameters.takes_words else command
    chosen.__annotations__["options"] = Annotated[parameters | None, Parameter(name="*")]
    chosen.__doc__ = verb.__doc__
    return chosen


def _with_hyphens(word: str) -> str:
    """``--extract_box=96`` as ``--extract-box=96``: RELION's users are used to underscores."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value


def _remembered(words: Sequence[str]) -> Sequence[Dict]:
    """The options of the job to go on with, as defaults for those not given again."""
    folder = _value_of("--o", words)
    if "--continue" not in words or folder is None:
        return ()
    from tomobayes.project import read_record

    record = read_record(Path(folder))
    options = {name.replace("_", "-"): value for name, value in record.parameters.items()}
    return [Dict({record.verb: options}, source="job.toml")]  # by verb, because options like --mask are names of verbs, too


def _value_of(option: str, words: Sequence[str]) -> str | None:
    """The value a word list gives to an option, as ``--o VALUE`` or ``--o=VALUE``."""
    for word, following in pairwise([*words, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def _option_sentences(error: CycloptsError | ModelError) -> list[str]:
    """What is wrong with the options, one sentence each."""
    model_error = error if isinstance(error, ModelError) else error.__cause__
    if not isinstance(model_error, ModelError):
        return [str(error)]
    return [complaint.sentence for complaint in complaints(model_error)]


def _told(problem: Problem) -> str:
    return str(problem) if problem.severity == "error" else f"warning: {problem}"


def _complain(*sentences: str, code: int) -> int:
    for sentence in sentences:
        print(f"tomobayes: {sentence}", file=sys.stderr)
    return code

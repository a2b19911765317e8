"""The project in the browser: looks at the files of a project and starts jobs, nothing else, so that it may be closed or run twice.

Pages are made on the server (``templates/``) of what `project` and `report` read; htmx swaps the parts that change while jobs run.
Each module with ``ROUTES`` is a page or a few that belong together; `app` puts them together behind `access`.
"""

from tomobayes.web.parameters import Gui, gui

__all__ = ["Gui", "gui"]

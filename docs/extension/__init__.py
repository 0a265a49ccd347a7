"""Sphinx directives that show saved runs as they are judged today, so that no figure on these pages is copied by hand.

    ```{run} web.persistent      claim, links, prediction, findings, plots and ladder of tests/evidence/web.persistent
    :ladder: http dns            protocols of its ladder (`none`: no ladder); without it all that tell a story
    :hosts: client www-1         only messages between these
    :step: RTT 100 ms, 5 objects only those of this step of the run
    :arrows: 12                  so many at most
    ```
    ```{others} P                the scenarios of a section that no `run` before it on this page shows
    ```
    ```{keys} LinkBlock          a block of schema.py: its keys and what they mean
    ```

A scenario that no page shows, a run that does not pass and a prediction that is no longer what the code predicts are warnings,
and `make docs` takes warnings for errors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from appbed import claims, scenario, schema
from appbed.scenario import Scenario
from extension import saved, shown
from extension.shown import Wanted

_KNOWN = scenario.discover()
_log = logging.getLogger(__name__)


def _placed(environment: BuildEnvironment) -> dict[str, str]:
    """Scenarios by the page that shows them; kept with Sphinx's own notes, so that a page that did not change need not be read."""
    if not hasattr(environment, "appbed_placed"):
        environment.appbed_placed = {}  # type: ignore[attr-defined]
    found: dict[str, str] = environment.appbed_placed  # type: ignore[attr-defined]
    return found


class _Shows(SphinxDirective):
    """What shows runs."""

    def show(self, name: str, wanted: Wanted) -> nodes.raw:
        _placed(self.env)[name] = self.env.docname
        for file in (*sorted((saved.SAVED / name).iterdir()), saved.source(_KNOWN[name])):
            self.env.note_dependency(str(file))
        with tempfile.TemporaryDirectory() as below:
            run = saved.opened(name, _KNOWN[name], Path(below))
            for problem in run.problems:
                _log.warning("%s: %s", name, problem, location=self.get_location())
            return nodes.raw("", shown.run(run, wanted), format="html")


class Run(_Shows):
    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "ladder": directives.unchanged_required,
        "hosts": directives.unchanged_required,
        "step": directives.unchanged_required,
        "arrows": directives.positive_int,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in _KNOWN:
            raise self.error(f"no scenario {name!r}")
        if not (saved.SAVED / name).is_dir():
            raise self.error(f"{name} has no saved run: docs/scenarios.md says how to keep one")
        words = {key: tuple(self.options.get(key, "").split()) for key in ("ladder", "hosts")}
        wanted = Wanted(words["ladder"], words["hosts"], self.options.get("step", ""), self.options.get("arrows", 14))
        return [self.show(name, wanted)]


class Others(_Shows):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # a scenario or a saved run that is new changes nothing the page knows of
        return list(self._all())

    def _all(self) -> Iterator[nodes.Node]:
        letter = self.arguments[0]
        here = {name for name, page in _placed(self.env).items() if page == self.env.docname}
        for name, each in sorted(_KNOWN.items(), key=lambda item: (claims.order(item[1].claims), item[0])):
            if name not in here and self._belongs(each, letter) and (saved.SAVED / name).is_dir():
                yield nodes.rubric("", f"{', '.join(each.claims)}: {name}")
                yield nodes.paragraph("", f"{each.about}.")
                yield self.show(name, Wanted())

    def _belongs(self, each: Scenario, letter: str) -> bool:
        return claims.section(each.claims) == letter


class Keys(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        block = getattr(schema, self.arguments[0], None)
        if block is None:
            raise self.error(f"schema.py has no {self.arguments[0]}")
        self.env.note_dependency(str(schema.__file__))
        return [nodes.raw("", shown.keys(block), format="html")]


def _forget(app: Sphinx, environment: BuildEnvironment, page: str) -> None:
    placed = _placed(environment)
    for name in [each for each, where in placed.items() if where == page]:
        del placed[name]


def _complete(app: Sphinx, environment: BuildEnvironment) -> None:
    for name in sorted(set(_KNOWN) - set(_placed(environment))):
        if (saved.SAVED / name).is_dir():  # one without a saved run is another test's affair
            _log.warning("scenario %s is on no page: name it in a `run`, or have `others` of its section", name)


def setup(app: Sphinx) -> dict[str, Any]:
    for name, directive in (("run", Run), ("others", Others), ("keys", Keys)):
        app.add_directive(name, directive)
    app.connect("env-purge-doc", _forget)
    app.connect("env-check-consistency", _complete)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}

"""Evidence of runs as people and programs read it: pages of HTML, JSON, CSV, JUnit XML; nothing here runs or judges anything.

from appbed import report

runs = report.chosen([Path("runs")])                 # each one whole, or without what is missing (`run.missing`)
Path("report.html").write_text(report.page(runs))    # one file: nothing is loaded, no script
report.index(runs), report.plain(runs), report.csv(runs), report.junit(runs)
"""

from appbed.report.exports import csv, junit, plain
from appbed.report.page import index, page
from appbed.report.runs import Run, chosen, counted

__all__ = ["Run", "chosen", "counted", "csv", "index", "junit", "page", "plain"]

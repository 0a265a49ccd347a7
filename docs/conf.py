"""How these pages become a site: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "appbed"
html_title = "appbed"
extensions = ["myst_parser", "extension"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
highlight_language = "text"
myst_heading_anchors = 3

html_theme = "furo"  # the system's own fonts: a page loads nothing from elsewhere
html_static_path = ["_static"]
html_css_files = ["figures.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

"""Sphinx's settings. The sources are those that stage.py lays out; about.md says what and why."""

from __future__ import annotations

import sys
from pathlib import Path

SITE = Path(__file__).parent
sys.path.insert(0, str(SITE))

project = "nst_utils"
author = "The nst_utils founders"
copyright = f"{author}; MIT license, pictures under licenses of their own"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "mathml", "wrapping"]
html_math_renderer = "mathml"

nb_execution_mode = "off"  # pages show the outputs that are committed
nb_merge_streams = True
nb_number_source_lines = False
myst_enable_extensions = ["dollarmath", "linkify"]
myst_linkify_fuzzy_links = False  # https://... is a link, README.md in a sentence is none
myst_heading_anchors = 6
# asis: is stage.py's, for links to files that are handed out as they are, such as slides.
myst_url_schemes = {"http": None, "https": None, "mailto": None, "asis": "{{path}}"}
exclude_patterns = ["_extra"]
suppress_warnings = ["toc.not_included"]  # pages that only links lead to, such as source code

html_theme = "furo"
html_title = "nst_utils"
templates_path = [str(SITE / "templates")]
html_static_path = [str(SITE / "static")]
html_css_files = ["site.css"]
html_favicon = str(SITE / "static" / "favicon.svg")
html_copy_source = False
html_show_sourcelink = False
html_use_index = False  # api/index.rst is one
html_domain_indices = False
html_last_updated_fmt = None  # the same sources give the same pages on any day
html_theme_options = {"top_of_page_buttons": []}
highlight_language = "commands"  # of code that does not say it; see wrapping.py
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = ">>> |\\.\\.\\. "
copybutton_prompt_is_regexp = True

python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"

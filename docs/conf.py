"""How the site is built: `sphinx-build -W -b html docs site`.

The reference of commands and columns is written from the program itself each time; it is not kept in
the repository.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generated import write_pages  # noqa: E402 - it stands beside this file

project = "tokenaudit"
author = "The tokenaudit founders"
project_copyright = author
extensions = ["myst_parser"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "furo"
html_title = "tokenaudit"
highlight_language = "text"

write_pages(HERE / "reference")

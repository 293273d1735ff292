"""The web page on a machine of somebody else's, such as a Space: an `app.py` that is run as it is.

Beside it lies a requirements.txt with the line `pellucid[app]`. People are asked for the password that the variable
PELLUCID_APP_PASSWORD holds (a Space's secret); without it the page is not served to other machines.
"""

from __future__ import annotations

import os

from pellucid.app.limits import Limits
from pellucid.app.server import Serving, serve

if __name__ == "__main__":
    serve(
        Serving(
            host="0.0.0.0",
            port=int(os.environ.get("PORT", "7860")),
            password=os.environ.get("PELLUCID_APP_PASSWORD"),
            limits=Limits(bytes=20_000_000, pixels=4_000_000, pictures=10),
        )
    )

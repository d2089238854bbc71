"""Test-only: laid over a service's sources, it gives the service the defect that $DEFECT names.

`DEFECT=NAME`, or `DEFECT=@FILE` to read the name from a file at every request, so that a running service
changes its defect; of a folder, the file of the pod's name. Without the variable nothing happens. No shipped
image has this file.
"""

import os

if os.environ.get("DEFECT"):
    import defective_app

    defective_app.install()

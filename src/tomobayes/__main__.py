"""``python -m tomobayes`` is ``tomobayes``."""

import sys

from tomobayes.cli import main

sys.exit(main())

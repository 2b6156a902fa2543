"""What Streamlit runs: ``streamlit run app.py -- OPTIONS``."""

import sys

from harness.demo.options import read_arguments
from harness.demo.page import show

show(read_arguments(sys.argv[1:]))

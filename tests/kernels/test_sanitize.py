"""The kernel suite again, under AddressSanitizer and ThreadSanitizer.

The tests that run kernels in the emulator (those of the fixture `emulated`) are run once more by
processes that watch every access of every kernel (`watching.py` starts them). Each function among
them is run once; all of them, with all their parameters, by

    python -m pytest -m sanitize
"""

import pytest
import watching

from tapegrad.kernels.emulator import EmulatorError

pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module")
def suites(request):
    """For each sanitizer the process that runs the suite, and where its reports go."""
    found = request.config.stash[watching.SUITES]
    if isinstance(found, EmulatorError):
        pytest.skip(str(found))
    return found


@pytest.mark.parametrize("sanitizer", watching.SANITIZERS)
def test_no_kernel_of_the_suite_is_reported(suites, sanitizer, capsys):
    process, folder = suites[sanitizer]
    printed = process.communicate()[0][-3000:]
    reports = [path.read_text() for path in folder.glob(f"{sanitizer}.*")]
    assert not reports, reports[0] + printed
    assert process.returncode == 0, printed
    with capsys.disabled():
        print(f"\nunder the {sanitizer} sanitizer: {printed.splitlines()[-1]}")

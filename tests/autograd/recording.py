"""What a GPU would have been asked to do: launches, and waits of the host for the device.

The stand-in for CuPy reports here, and so do the kernels of ours that run in the emulator.
"""

from contextlib import contextmanager

from tapegrad.kernels.cuda.launching import RecordingBackend, backend, use_backend


class Recording:
    """Names of launches and of synchronisations, in order."""

    def __init__(self):
        self.launches, self.synchronisations = [], []

    @property
    def kernels(self):
        """The launches without the copy of a table of addresses.

        That is made where the allocator hands out other memory than in the step before.
        """
        copies = self.launches.count("copy to the device")
        assert copies <= 1, self.launches
        return [name for name in self.launches if name != "copy to the device"]

    def clear(self):
        self.launches.clear()
        self.synchronisations.clear()


ACTIVE = []


def launched(name):
    for recording in ACTIVE:
        recording.launches.append(name)


def synchronised(name):
    for recording in ACTIVE:
        recording.synchronisations.append(name)


@contextmanager
def record():
    """A `Recording` of everything inside the block, in every thread."""
    recording = Recording()
    ACTIVE.append(recording)
    try:
        with use_backend(RecordingBackend(backend(), recording.launches)):
            yield recording
    finally:
        ACTIVE.remove(recording)

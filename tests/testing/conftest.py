"""The fixtures that plugin authors have, also where the package was installed before they were."""

from puskesmas_queue.testing.fixtures import (  # noqa: F401
    puskesmas_clinic,
    puskesmas_clinics,
)

"""The likelihoods of images, one by one; `columns`, which is one of tables alone, has its own tests in tests/data."""

from pyrovae.config.values import IMAGES
from pyrovae.parts.likelihoods import LIKELIHOODS as ALL

LIKELIHOODS = {name: member for name, member in ALL.items() if {*member.domain} & {*IMAGES}}

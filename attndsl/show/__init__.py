"""Pictures of bound patterns: the mask, the tiles it touches, and the neighborhood of one query.

Stands beside the simulator at the end of the pipeline: it reads the bound IR and the schedule, and computes
nothing of its own but colours. `draw` makes the picture, `encode` turns it into the bytes of a file.
"""

from attndsl.show.encode import FORMATS, encode
from attndsl.show.figure import draw
from attndsl.show.subject import Subject

__all__ = ["FORMATS", "Subject", "draw", "encode"]

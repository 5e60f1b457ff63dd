"""Pictures of what was recorded: the graph with its values and gradients, and a player for it.

`graph` reads a tape into wires and gates, `picture` puts what modules recorded into boxes, `layout`
places them, `circuit` draws the SVG; `drawing` and `page` are what people call.
"""

from .drawing import Drawing, draw
from .page import Player, player

__all__ = ["Drawing", "Player", "draw", "player"]

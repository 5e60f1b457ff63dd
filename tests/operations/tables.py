"""Every operation and how to draw a call of it, gathered from the table of each family."""

from __future__ import annotations

from collections.abc import Callable

import activation_calls
import convolution_calls
import creation_calls
import image_calls
import index_calls
import linalg_calls
import loss_calls
import normalization_calls
import order_calls
import pointwise_calls
import pooling_calls
import product_calls
import reduction_calls
import shape_calls
from drawing import Call, Draw

CALLS: dict[str, Callable[[Draw], Call]] = {
    **activation_calls.CALLS,
    **convolution_calls.CALLS,
    **creation_calls.CALLS,
    **image_calls.CALLS,
    **index_calls.CALLS,
    **linalg_calls.CALLS,
    **loss_calls.CALLS,
    **normalization_calls.CALLS,
    **order_calls.CALLS,
    **pointwise_calls.CALLS,
    **pooling_calls.CALLS,
    **product_calls.CALLS,
    **reduction_calls.CALLS,
    **shape_calls.CALLS,
}

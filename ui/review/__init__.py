"""Going from object to object: queue, edits kept at once in the layer, and the panel."""

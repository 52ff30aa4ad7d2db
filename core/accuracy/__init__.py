"""How good detections are: matching to truth, and the field's metrics."""

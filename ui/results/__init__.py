"""What was found: figures, filter, zones, samples and exports of a result layer."""

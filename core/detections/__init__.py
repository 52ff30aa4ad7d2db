"""What was found: columns of boxes, merged across tiles, written to and read from vector files."""

"""Labels in the field's formats, one file a format: each read into records and written chip by chip."""

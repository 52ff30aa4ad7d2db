"""Training from the desktop: the dialog, its form, and how a training is going."""

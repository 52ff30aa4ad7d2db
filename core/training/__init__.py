"""From labelled imagery to the weights of a network."""

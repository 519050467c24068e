"""Pure mathematics: arrays in, arrays out; no configuration, no network, no file."""

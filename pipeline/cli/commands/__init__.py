"""The commands, one module for each subject. Modules import the product inside functions, which keeps `--help` fast."""

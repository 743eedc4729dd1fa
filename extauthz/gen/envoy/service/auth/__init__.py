"""Generated from `protos/` by `make gen`; never edited."""

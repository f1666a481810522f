"""The commission domain: standard library only, no clock, no I/O, no float."""

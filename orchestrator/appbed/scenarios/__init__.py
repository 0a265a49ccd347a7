"""One file a scenario; the files are the registry."""

"""The page of settings: links to what a viewer may set or look up."""

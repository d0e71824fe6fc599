"""The two doors: a public one for events, forms and the provider, and an internal one for the people watching."""

"""The HTTP side: a public listener for events, forms and providers, and an internal one for pages and the read API."""

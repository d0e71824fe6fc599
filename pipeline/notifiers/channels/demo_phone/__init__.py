"""The demo's phones: text messages that appear on a page of this installation."""

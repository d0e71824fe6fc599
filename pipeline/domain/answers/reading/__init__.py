"""Reading of free text in nine languages: replies to our questions, and comments.

The rules are shared by all languages (`facts.py`, `numerals.py`, `controls.py`); the words of each language are data
(`languages/*.toml`). All steps are linear in the length of the text.
"""

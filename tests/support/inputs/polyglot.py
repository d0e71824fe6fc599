"""Text in many alphabets."""

# Closes every context in which a value may appear: text, quoted attributes, comments, scripts, templates.
POLYGLOT = "\"'`></title></script></textarea>--><img src=x onerror=alert(1)><svg/onload=alert(2)>{{7*7}}{%x%}\u202e"

"""Who may do what: roles and their permissions, scopes of segments and accounts, acts, and the rule of two people."""

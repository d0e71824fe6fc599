"""What the commands about access and personal data print."""

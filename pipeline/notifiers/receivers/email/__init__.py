"""The receiver e-mail: messages over SMTP with the trend as an image."""

"""What commands do about users and answers, as the principal `local`."""

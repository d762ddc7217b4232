"""Textbook implementations on a scalar that counts its operations: they arbitrate every price."""

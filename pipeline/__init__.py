"""Unvarnished: fulfilment as the customer lived it, beside what operations claims."""
